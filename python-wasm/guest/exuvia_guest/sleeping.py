"""`time.sleep` and `select.select` as waits of the scheduler: the run is suspended, no thread is used."""

import time

from exuvia_guest import scheduler

# The longest sleep CPython can express, in seconds.
LONGEST = 9223372036


def sleep(seconds, /):
    """Delay execution for a given number of seconds; other threads run meanwhile."""
    scheduler.sleep(_nanoseconds(seconds))


def _nanoseconds(seconds):
    if isinstance(seconds, float):
        if seconds != seconds:
            raise ValueError("Invalid value NaN (not a number)")
    elif not hasattr(seconds, "__index__"):
        if not hasattr(seconds, "__float__"):
            raise TypeError(f"'{type(seconds).__name__}' object cannot be interpreted as an integer")
        seconds = float(seconds)
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    if seconds > LONGEST:
        raise OverflowError("timestamp out of range for C PyTime_t")
    return int(seconds * 1_000_000_000)


def select(rlist, wlist, xlist, timeout=None, /):
    """Files are always ready, and there are no sockets: with descriptors it answers at once, without it sleeps."""
    readable, writable = list(rlist), list(wlist)
    for item in readable + writable + list(xlist):
        if not isinstance(item, int) and not hasattr(item, "fileno"):
            raise TypeError("argument must be an int, or have a fileno() method.")
    if not readable and not writable:
        if timeout is None:
            raise RuntimeError("deadlock: select() without descriptors and timeout would wait for ever")
        sleep(timeout)
    return readable, writable, []


class Builtin:
    """A function that, like those written in C, does not become a method when it is the attribute of a class."""

    def __init__(self, function):
        self._function = function
        self.__name__ = self.__qualname__ = function.__name__
        self.__doc__ = function.__doc__

    def __call__(self, *args):
        return self._function(*args)

    def __repr__(self):
        return f"<built-in function {self.__name__}>"


def install():
    import select as module

    time.sleep = Builtin(sleep)
    module.select = Builtin(select)
