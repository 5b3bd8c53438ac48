"""One exchange with a server: a request, its body whole or in pieces, a response and the pieces of its body.

What is asked of the host, and what is made of its answer, are methods of their own: so one exchange serves code that waits and
coroutines alike.
"""

import itertools
import math

from exuvia_guest import host, loops, scheduler

# A body up to this size goes with its request, in one message; a larger one follows in pieces of about this size, bytes.
LARGEST_WHOLE = 1 << 20

_numbers = itertools.count(1)

# Headers' names that are not written as `Title-Case`; HTTP does not tell, but programs that copy headers into a dict may.
_NAMES = {
    name.lower(): name
    for name in (
        "CF-RAY DNT ETag NEL SourceMap TE WWW-Authenticate X-DNS-Prefetch-Control X-GitHub-Media-Type X-GitHub-Request-Id"
        " X-RateLimit-Limit X-RateLimit-Remaining X-RateLimit-Reset X-RateLimit-Resource X-RateLimit-Used X-UA-Compatible"
        " X-XSS-Protection Content-MD5 X-Request-ID X-Correlation-ID"
    ).split()
}


def milliseconds(seconds):
    """A timeout as the host takes it. None: as long as the host waits."""
    return None if seconds is None else max(1, math.ceil(seconds * 1000))


class Head:
    """How a response begins."""

    __slots__ = ("status", "reason", "version", "headers")

    def __init__(self, fields):
        self.status = fields["status"]
        self.reason = fields["reason"]
        self.version = fields["version"]
        self.headers = [(_NAMES.get(name) or _titled(name), value) for name, value in fields["headers"]]


def _titled(name):
    _NAMES[name] = titled = "-".join([part.capitalize() for part in name.split("-")])
    return titled


class Exchange:
    """One exchange. `ended`: there is no more of the response than `first`, and the host has forgotten it."""

    __slots__ = ("number", "ended", "first", "__weakref__")

    def __init__(self):
        self.number = next(_numbers)
        self.ended = True
        self.first = b""

    # What is asked of the host.

    def begin(self, fields, body):
        """Begin with the request in `fields`; `body` is all of it, or None when it follows in pieces."""
        fields["id"] = self.number
        if body is None:
            fields["stream"] = True
        self.ended = False
        return host.start(host.message("http", fields, body or None))

    def send(self, piece, end):
        return host.start(host.message("http_send", {"id": self.number, "end": end}, piece))

    def read(self):
        return host.start(b'{"op":"http_read","id":%d}' % self.number)

    def close(self):
        """The rest of the response is not wanted."""
        self.first = b""
        if not self.ended:
            self.ended = True
            scheduler.drop(host.start(b'{"op":"http_close","id":%d}' % self.number))

    def __del__(self):
        if not self.ended:
            try:
                self.close()
            except Exception:
                # At the very end there may be nobody to tell; the host forgets it with the run.
                pass

    # What is made of its answers.

    def head(self, answer):
        fields, self.first = self._parts(answer)
        self.ended = fields["end"]
        return Head(fields)

    def piece(self, answer):
        fields, piece = self._parts(answer)
        self.ended = fields["end"]
        return piece

    def began(self, answer):
        self._parts(answer)

    def _parts(self, answer):
        try:
            return host.parts(answer)
        except host.HostError:
            # The host has forgotten it.
            self.ended = True
            raise

    # For code that waits.

    def next_piece(self):
        """More of the response's body; empty at its end."""
        if self.first:
            piece, self.first = self.first, b""
            return piece
        while not self.ended:
            piece = self.piece(scheduler.wait_answer(self.read()))
            if piece:
                return piece
        return b""

    # For coroutines.

    async def next_piece_later(self):
        if self.first:
            piece, self.first = self.first, b""
            return piece
        while not self.ended:
            piece = self.piece(await loops.answer(self.read()))
            if piece:
                return piece
        return b""


def parts(data):
    """A body's bytes, in parts that a message has room for."""
    for at in range(0, len(data), LARGEST_WHOLE):
        yield data[at : at + LARGEST_WHOLE]


def grouped(pieces):
    """The pieces of a body, joined until they are large enough to be worth a message. Yields (bytes, whether it is the last)."""
    held, size = [], 0
    for piece in pieces:
        if not piece:
            continue
        held.append(piece)
        size += len(piece)
        if size > LARGEST_WHOLE:
            for part in parts(b"".join(held)):
                yield part, False
            held, size = [], 0
    yield b"".join(held), True


def perform(fields, pieces):
    """Make a request whose body is in `pieces`, and wait for its response: the exchange, and its head."""
    exchange = Exchange()
    for piece, last in grouped(pieces):
        if exchange.ended:
            if last:
                return exchange, exchange.head(scheduler.wait_answer(exchange.begin(fields, piece)))
            exchange.began(scheduler.wait_answer(exchange.begin(fields, None)))
        answer = scheduler.wait_answer(exchange.send(piece, last))
        if last:
            return exchange, exchange.head(answer)
        exchange.began(answer)


async def perform_later(fields, pieces):
    """`perform` for coroutines, of an asynchronous iterator."""
    exchange = Exchange()
    held, size = [], 0
    async for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size > LARGEST_WHOLE:
            if exchange.ended:
                exchange.began(await loops.answer(exchange.begin(fields, None)))
            for part in parts(b"".join(held)):
                exchange.began(await loops.answer(exchange.send(part, False)))
            held, size = [], 0
    body = b"".join(held)
    if exchange.ended:
        return exchange, exchange.head(await loops.answer(exchange.begin(fields, body)))
    return exchange, exchange.head(await loops.answer(exchange.send(body, True)))
