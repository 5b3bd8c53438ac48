"""Stands in for the standard library's `webbrowser`: there is no browser to open."""

__all__ = ["Error", "open", "open_new", "open_new_tab", "get", "register"]


class Error(Exception):
    pass


def open(url, new=0, autoraise=True):
    raise RuntimeError("there is no browser here: fetch the page with httpx, or print the address for the user")


def open_new(url):
    return open(url, 1)


def open_new_tab(url):
    return open(url, 2)


def get(using=None):
    raise Error("could not locate runnable browser")


def register(name, klass, instance=None, *, preferred=False):
    """Nothing can be opened with what is registered."""
