"""Beneath `urllib3`, and so `requests`: its connections are those of `http.client`, with its own errors."""

import errno
import functools

from exuvia_guest import host
from exuvia_guest.http import errors
from exuvia_guest.http.http_client import HTTP_2, Line
from requests import adapters
from requests import exceptions as of_requests
from urllib3 import connection, exceptions

_send = adapters.HTTPAdapter.send
_getresponse = connection.HTTPConnection.getresponse


class Refused(exceptions.ClosedPoolError):
    """The policy said no, or it is not known what became of the request. `urllib3` tries neither again, as it would after
    other errors, and `requests` makes a ConnectionError of it."""

    def __init__(self, message):
        exceptions.HTTPError.__init__(self, message)

    def __reduce__(self):
        return Refused, self.args


def getresponse(self):
    """Get the response from the server."""
    try:
        response = _getresponse(self)
    except Exception as raised:
        told = raised.__cause__
        if not isinstance(told, host.HostError):
            raise
        raise _translated(self, raised, told) from told
    # The host has taken the framing off.
    response.chunked = False
    if response.version == HTTP_2:
        response.version_string = "HTTP/2"
    return response


def _translated(self, raised, told):
    kind = told.type
    if kind == "HttpName":
        return exceptions.NameResolutionError(self.host, self, raised)
    if kind == "HttpConnectTimeout":
        return exceptions.ConnectTimeoutError(self, f"Connection to {self.host} timed out. (connect timeout={self._connect_timeout})")
    if kind == "HttpConnect":
        return exceptions.NewConnectionError(self, f"Failed to establish a new connection: {raised}")
    if kind in ("PolicyDenied", "ToolInDoubt"):
        return Refused(errors.words(told))
    return raised


def connect(self):
    """Connect: the host does, when the request is there."""
    if self.proxy or self._tunnel_host:
        raise OSError(errno.ENOTSUP, errors.PROXY_WORDS)
    self._connect_timeout = self.timeout
    # The host verifies, whatever the program has set.
    self.is_verified = type(self)._is_encrypted
    self.sock = Line("https" if self.is_verified else "http", self.timeout, waits_for_getresponse=True)


def is_connected(self):
    return self.sock is not None


@functools.wraps(_send)
def send(self, *args, **kwargs):
    try:
        return _send(self, *args, **kwargs)
    except of_requests.ConnectionError as raised:
        refused = raised.args[0] if raised.args else None
        if isinstance(refused, Refused):
            # Where a program looks for it: at the error that it catches.
            raise raised from refused.__cause__
        raise


def install():
    plain, encrypted = connection.HTTPConnection, connection.HTTPSConnection
    plain._is_encrypted, encrypted._is_encrypted = False, True
    plain.connect = encrypted.connect = connect
    plain.getresponse = getresponse
    plain.is_connected = property(is_connected)
    adapters.HTTPAdapter.send = send
