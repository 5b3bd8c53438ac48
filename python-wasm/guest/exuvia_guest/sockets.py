"""Plain words for sockets: there are none. HTTP goes through the host, by `httpx`, `requests` or `urllib`."""

import errno
import socket

WORDS = (
    "Exuvia's guest has no sockets: call a tool (mcp_<Server>_<tool>), or use httpx, requests or urllib, whose requests go "
    "through the host where its policy allows them"
)


def no_sockets():
    return PermissionError(errno.EPERM, WORDS)


def _refused(*args, **kwargs):
    raise no_sockets()


def _unresolved(*args, **kwargs):
    # What callers expect of a name that cannot be looked up.
    raise socket.gaierror(getattr(socket, "EAI_FAIL", -4), WORDS)


class Socket(socket.socket):
    """Cannot be made."""

    def __init__(self, *args, **kwargs):
        raise no_sockets()

    def __del__(self):
        pass

    def __repr__(self):
        return "<socket.socket that was refused>"


def install():
    Socket.__name__ = Socket.__qualname__ = "socket"
    Socket.__module__ = "socket"
    socket.socket = socket.SocketType = Socket
    for name in "socketpair fromfd create_connection create_server fromshare".split():
        setattr(socket, name, _refused)
    for name in "getaddrinfo gethostbyname gethostbyname_ex gethostbyaddr getnameinfo".split():
        setattr(socket, name, _unresolved)
    socket.gethostname = lambda: "exuvia"
    socket.getfqdn = lambda name="": name or "exuvia"
