"""Beneath `http.client`: a line to the host in the place of a connection's socket."""

import errno
import http.client
import io
import math
import socket
from http.client import HTTPConnection, HTTPMessage, HTTPResponse, HTTPSConnection

from exuvia_guest import host, scheduler
from exuvia_guest.http import errors
from exuvia_guest.http.exchange import LARGEST_WHOLE, Exchange, milliseconds, parts

# As `http.client` has versions, and `urllib3` that of HTTP/2, which the former does not speak natively.
HTTP_2 = 20
VERSIONS = {"HTTP/1.0": 10, "HTTP/1.1": 11, "HTTP/2": HTTP_2}

_begin = HTTPResponse.begin
_send_output = HTTPConnection._send_output


class Line:
    """What a connection has for a socket. It takes requests; responses are read from what `makefile` gives."""

    def __init__(self, scheme, timeout, waits_for_getresponse=False):
        self._scheme = scheme
        # Whether the request is sent when the response is asked for: `urllib3` sets the timeout of reading only then.
        self._is_late = waits_for_getresponse
        self.settimeout(timeout)
        self._fields = None
        self._exchange = None

    def settimeout(self, timeout):
        self._timeout = socket.getdefaulttimeout() if timeout is socket._GLOBAL_DEFAULT_TIMEOUT else timeout

    def gettimeout(self):
        return self._timeout

    def setsockopt(self, *args):
        pass

    def shutdown(self, how):
        pass

    def close(self):
        # A response that is still being read keeps its exchange, as it would keep the socket.
        pass

    def head(self, host_name, port, lines, is_framed):
        """A request begins: its first line and its headers."""
        method, target, _ = lines[0].decode("latin-1").split(" ", 2)
        headers = [line.decode("latin-1").split(": ", 1) for line in lines[1:]]
        self._fields = {
            "method": method,
            "scheme": self._scheme,
            "host": host_name,
            "port": port,
            "target": target,
            "headers": headers,
            "connect_ms": milliseconds(self._timeout),
            "write_ms": milliseconds(self._timeout),
        }
        self._frames = Frames() if is_framed else None
        self._held, self._size = [], 0
        self._exchange, self._head, self._failed = Exchange(), None, None
        self._due = next((int(value) for name, value in headers if name.lower() == "content-length" and value.isdigit()), 0)

    def sendall(self, data):
        """More of the request's body."""
        # What is no bytes is a TypeError, before anything is taken from it: `send` goes through it then.
        data = bytes(memoryview(data))
        if self._frames is not None:
            data = self._frames.contents(data)
        self._held.append(data)
        self._size += len(data)
        self._due -= len(data)
        if self._size > LARGEST_WHOLE:
            self._send_held()
        if self._is_whole():
            self.whole()

    def unknown(self):
        self._due = math.inf

    def _is_whole(self):
        return self._due <= 0 if self._frames is None else self._frames.ended

    def head_is_all(self):
        if self._frames is None and self._due <= 0:
            self.whole()

    def whole(self):
        """The request is there, body and all."""
        if self._is_late or self._head is not None or self._failed is not None:
            return
        self._perform()
        if self._failed is not None and self._failed.type in errors.SENDING:
            failed, self._fields = self._failed, None
            raise errors.of_socket(failed) from failed

    def _send_held(self):
        data = b"".join(self._held)
        self._held, self._size = [], 0
        if self._failed is not None:
            # As where a server has hung up: what it said is told where the response is asked for.
            return
        exchange = self._exchange
        try:
            if exchange.ended:
                exchange.began(scheduler.wait_answer(exchange.begin(self._timed(), None)))
            for part in parts(data):
                exchange.began(scheduler.wait_answer(exchange.send(part, False)))
        except host.HostError as raised:
            self._failed = raised

    def response(self):
        """The exchange and the head of its response."""
        if self._fields is None:
            raise http.client.ResponseNotReady("Idle")
        if self._head is None and self._failed is None:
            self._perform()
        exchange, head, failed = self._exchange, self._head, self._failed
        self._fields = self._exchange = self._head = self._failed = None
        if failed is not None:
            raise errors.of_socket(failed) from failed
        return exchange, head

    def _perform(self):
        exchange, body = self._exchange, b"".join(self._held)
        self._held = []
        try:
            handle = exchange.begin(self._timed(), body) if exchange.ended else exchange.send(body, True)
            self._head = exchange.head(scheduler.wait_answer(handle))
        except host.HostError as raised:
            self._failed = raised

    def _timed(self):
        self._fields["read_ms"] = milliseconds(self._timeout)
        return self._fields

    def makefile(self, mode="rb", *args, **kwargs):
        return io.BufferedReader(Body(self), 65536)


class Frames:
    """Takes the framing off a chunked body: how a body is framed is the host's."""

    def __init__(self):
        self._rest = b""
        self._left = 0
        # Whether the last chunk was there.
        self.ended = False

    def contents(self, data):
        data, contents = self._rest + data, []
        while data:
            if self._left > 2:
                taken = data[: self._left - 2]
                contents.append(taken)
                self._left -= len(taken)
                data = data[len(taken) :]
            elif self._left:
                # The line end behind a chunk.
                taken = len(data[: self._left])
                self._left -= taken
                data = data[taken:]
            else:
                size, line_end, rest = data.partition(b"\r\n")
                if not line_end:
                    break
                length = int(size.partition(b";")[0] or b"0", 16)
                self._left = length + 2 if length else 0
                self.ended = not length
                data = rest if length else b""
        self._rest = data
        return b"".join(contents)


class Body(io.RawIOBase):
    """The body of a response, as it comes from the host."""

    def __init__(self, line):
        self._line = line
        self._exchange = None
        self._has_length = False
        self._piece = memoryview(b"")

    def begin(self):
        self._exchange, head = self._line.response()
        self._has_length = any(name == "Content-Length" for name, _ in head.headers)
        return head

    def readable(self):
        return True

    def readinto(self, buffer):
        if not self._piece:
            try:
                self._piece = memoryview(self._exchange.next_piece())
            except host.HostError as raised:
                if raised.type == "HttpRead" and self._has_length:
                    # An end, as a socket has it: who reads knows how much is missing.
                    return 0
                raise errors.of_socket(raised) from raised
        length = min(len(buffer), len(self._piece))
        buffer[:length] = self._piece[:length]
        self._piece = self._piece[length:]
        return length

    def close(self):
        if self._exchange is not None:
            self._exchange.close()
        super().close()


def begin(self):
    """HTTPResponse.begin, where the head comes from the host."""
    raw = getattr(self.fp, "raw", None)
    if type(raw) is not Body or self.headers is not None:
        return _begin(self)
    head = raw.begin()
    self.code = self.status = head.status
    self.reason = head.reason
    self.version = VERSIONS.get(head.version, 11)
    message = HTTPMessage()
    message._headers = head.headers
    self.headers = self.msg = message
    # The host has taken the framing off.
    self.chunked = False
    self.chunk_left = None
    # Only HTTP/1 says it in headers.
    self.will_close = self.version != HTTP_2 and self._check_close()
    length = None if message.get("transfer-encoding") else message.get("content-length")
    self.length = int(length) if length and length.isdigit() else None
    if self.status in (204, 304) or self._method == "HEAD":
        self.length = 0


def connect(self):
    """Connect: the host does, when the request is there."""
    if self._tunnel_host:
        raise OSError(errno.ENOTSUP, errors.PROXY_WORDS)
    self.sock = Line("http", self.timeout)


def connect_encrypted(self):
    """Connect: the host does, and speaks TLS, when the request is there."""
    if self._tunnel_host:
        raise OSError(errno.ENOTSUP, errors.PROXY_WORDS)
    self.sock = Line("https", self.timeout)


def send_output(self, message_body=None, encode_chunked=False):
    """Send the request's head, and its body if it is there already."""
    if self.sock is None and self.auto_open:
        self.connect()
    if type(self.sock) is not Line:
        # A connection of the program's own making.
        return _send_output(self, message_body, encode_chunked)
    lines = self._buffer[:]
    del self._buffer[:]
    is_chunked = any(line.lower().startswith(b"transfer-encoding:") for line in lines)
    self.sock.head(self.host, self.port, lines, is_chunked and not encode_chunked)
    if is_chunked and encode_chunked:
        # No end of it can be told by its bytes.
        self.sock.unknown()
    if message_body is not None:
        self.send(message_body)
        if is_chunked and encode_chunked:
            self.sock.whole()
    else:
        self.sock.head_is_all()


def install():
    HTTPResponse.begin = begin
    HTTPConnection.connect = connect
    HTTPSConnection.connect = connect_encrypted
    HTTPConnection._send_output = send_output
