"""From the host's errors to those that each library raises. What the host said is their `__cause__`.

The types are those of server/src/egress/failure.rs.
"""

import errno
import http.client
import socket
import ssl

from exuvia_guest import host

PROXY_WORDS = "there are no proxies in Exuvia's guest: the host makes the connections, where its policy allows them"


class RequestRefused(http.client.HTTPException, ValueError):
    """The request is not one that can be sent."""


def words(raised):
    """What is said of an error: of a refusal its rule, too."""
    if isinstance(raised, host.PolicyDenied):
        return f"{raised.message} (rule {raised.rule})"
    return raised.message


def of_socket(raised):
    """What `socket`, `ssl` and `http.client` raise."""
    make = _OF_SOCKET.get(raised.type)
    text = words(raised)
    return make(text) if make else OSError(errno.EIO, text)


def of_httpx(raised, httpx, reading=False):
    """What `httpx` raises."""
    name = "ReadError" if reading else "ConnectError"
    return getattr(httpx, _OF_HTTPX.get(raised.type, name))(words(raised))


def _os_error(kind, number):
    return lambda text: kind(number, text)


def _connect(text):
    if "refused" in text:
        return ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
    return OSError(errno.EHOSTUNREACH, text)


_OF_SOCKET = {
    "HttpRequest": RequestRefused,
    "HttpName": _os_error(socket.gaierror, socket.EAI_NONAME),
    "HttpConnect": _connect,
    "HttpConnectTimeout": lambda text: TimeoutError("timed out"),
    "HttpCertificate": _os_error(ssl.SSLCertVerificationError, 1),
    "HttpTls": _os_error(ssl.SSLError, 1),
    "HttpWrite": _os_error(ConnectionAbortedError, errno.ECONNABORTED),
    "HttpWriteTimeout": lambda text: TimeoutError("timed out"),
    "HttpDisconnected": lambda text: http.client.RemoteDisconnected("Remote end closed connection without response"),
    "HttpReadTimeout": lambda text: TimeoutError("timed out"),
    "HttpProtocol": http.client.BadStatusLine,
    "HttpRead": lambda text: http.client.IncompleteRead(b""),
    "HttpTooMuch": _os_error(OSError, errno.EFBIG),
    "HttpLost": _os_error(ConnectionResetError, errno.ECONNRESET),
    "ToolInDoubt": _os_error(ConnectionAbortedError, errno.ECONNABORTED),
    "PolicyDenied": PermissionError,
}

# What is not here is a ConnectError, or while reading a ReadError.
_OF_HTTPX = {
    "HttpRequest": "LocalProtocolError",
    "HttpConnectTimeout": "ConnectTimeout",
    "HttpWrite": "WriteError",
    "HttpWriteTimeout": "WriteTimeout",
    "HttpDisconnected": "RemoteProtocolError",
    "HttpReadTimeout": "ReadTimeout",
    "HttpProtocol": "RemoteProtocolError",
    "HttpRead": "RemoteProtocolError",
    "HttpTooMuch": "ReadError",
    "HttpLost": "ReadError",
    "ToolInDoubt": "ReadError",
}

# Before anything was sent: what libraries try again where they are told to.
CONNECTING = frozenset({"HttpName", "HttpConnect", "HttpConnectTimeout"})
# What a program with sockets of its own would come upon while it sends its request, not while it waits for the response.
SENDING = CONNECTING | {"HttpRequest", "HttpCertificate", "HttpTls", "HttpWrite", "HttpWriteTimeout", "PolicyDenied"}
