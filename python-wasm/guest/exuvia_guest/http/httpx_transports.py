"""Beneath `httpx`: its transports, by the host. Clients, authentication, redirects and cookies are its own."""

import asyncio

import httpx
from exuvia_guest import host, scheduler
from exuvia_guest.http import errors
from exuvia_guest.http.exchange import milliseconds, perform, perform_later
from httpx._config import DEFAULT_LIMITS, create_ssl_context

# As httpcore waits before it connects anew: at once, then 0.5 s, twice as long each time.
BACKOFF = 0.5


class Body(httpx.SyncByteStream):
    """The body of a response, as it comes from the host."""

    def __init__(self, exchange):
        self._exchange = exchange

    def __iter__(self):
        try:
            while piece := self._exchange.next_piece():
                yield piece
        except host.HostError as raised:
            raise errors.of_httpx(raised, httpx, reading=True) from raised

    def close(self):
        self._exchange.close()


class AsyncBody(httpx.AsyncByteStream):
    """The same for coroutines."""

    def __init__(self, exchange):
        self._exchange = exchange

    async def __aiter__(self):
        try:
            while piece := await self._exchange.next_piece_later():
                yield piece
        except host.HostError as raised:
            raise errors.of_httpx(raised, httpx, reading=True) from raised

    async def aclose(self):
        self._exchange.close()


def init(
    self,
    verify=True,
    cert=None,
    trust_env=True,
    http1=True,
    http2=False,
    limits=DEFAULT_LIMITS,
    proxy=None,
    uds=None,
    local_address=None,
    retries=0,
    socket_options=None,
):
    if cert is not None or isinstance(verify, str):
        # For what it refuses: client certificates, and files that are not there.
        create_ssl_context(verify=verify, cert=cert, trust_env=trust_env)
    self._retries = retries
    self._refusal = None
    if proxy is not None:
        self._refusal = httpx.ProxyError, errors.PROXY_WORDS
    elif uds is not None:
        self._refusal = httpx.ConnectError, "there are no Unix sockets in Exuvia's guest"


def _fields(transport, request):
    if transport._refusal is not None:
        kind, text = transport._refusal
        raise kind(text)
    url, timeout = request.url, request.extensions.get("timeout") or {}
    scheme = url.scheme
    if scheme not in ("http", "https"):
        # In httpcore's words.
        text = f"has an unsupported protocol '{scheme}://'." if scheme else "is missing an 'http://' or 'https://' protocol."
        raise httpx.UnsupportedProtocol(f"Request URL {text}")
    return {
        "method": request.method,
        "scheme": scheme,
        "host": url.raw_host.decode("ascii"),
        "port": url.port or (443 if scheme == "https" else 80),
        "target": request.extensions.get("target", url.raw_path).decode("latin-1"),
        "headers": [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw],
        "connect_ms": milliseconds(timeout.get("connect")),
        "read_ms": milliseconds(timeout.get("read")),
        "write_ms": milliseconds(timeout.get("write")),
    }


def _response(head, body):
    return httpx.Response(
        head.status,
        headers=[(name.encode("latin-1"), value.encode("latin-1")) for name, value in head.headers],
        stream=body,
        extensions={"http_version": head.version.encode(), "reason_phrase": head.reason.encode("latin-1")},
    )


def _is_worth_another(raised, attempt, transport, request):
    # A body that can be gone through once only is gone.
    is_there = isinstance(request.stream, httpx.ByteStream)
    return is_there and raised.type in errors.CONNECTING and attempt < transport._retries


def _pause(attempt):
    return BACKOFF * 2 ** (attempt - 1) if attempt else 0


def handle_request(self, request):
    fields = _fields(self, request)
    for attempt in range(self._retries + 1):
        try:
            exchange, head = perform(dict(fields), request.stream)
            return _response(head, Body(exchange))
        except host.HostError as raised:
            if not _is_worth_another(raised, attempt, self, request):
                raise errors.of_httpx(raised, httpx) from raised
        scheduler.sleep(int(_pause(attempt) * 1e9))


async def handle_async_request(self, request):
    fields = _fields(self, request)
    for attempt in range(self._retries + 1):
        try:
            exchange, head = await perform_later(dict(fields), request.stream)
            return _response(head, AsyncBody(exchange))
        except host.HostError as raised:
            if not _is_worth_another(raised, attempt, self, request):
                raise errors.of_httpx(raised, httpx) from raised
        await asyncio.sleep(_pause(attempt))


def _self(self):
    return self


def _nothing(self, *args):
    pass


async def _self_later(self):
    return self


async def _nothing_later(self, *args):
    pass


def install():
    transport, later = httpx.HTTPTransport, httpx.AsyncHTTPTransport
    transport.__init__ = later.__init__ = init
    transport.handle_request, later.handle_async_request = handle_request, handle_async_request
    transport.__enter__, transport.__exit__, transport.close = _self, _nothing, _nothing
    later.__aenter__, later.__aexit__, later.aclose = _self_later, _nothing_later, _nothing_later
