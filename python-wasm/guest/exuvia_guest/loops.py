"""asyncio over the scheduler: a loop whose selector waits for the host, for time and for tasks of threads at once."""

import asyncio
import selectors
from asyncio import selector_events

import _exuvia
from exuvia_guest import host, scheduler, sockets

# The loop turns so often without waiting (`while …: await asyncio.sleep(0)`) before it looks for answers of the host.
TURNS = 64


class Selector(selectors._BaseSelectorImpl):
    """There are no descriptors to select. Waits for answers of the host (`watch`), a timeout, or `wake`."""

    def __init__(self):
        super().__init__()
        self._answers = {}
        self._woken = False
        # Turns of the loop since it last waited.
        self._turns = 0

    def watch(self, handle, future):
        """Let the future have the host's answer when it is there."""
        self._answers[handle] = future

    def forget(self, handle):
        if self._answers.pop(handle, None) is not None:
            _exuvia.drop(handle)

    def wake(self):
        """End a wait that is under way: called by a task on top of the loop."""
        self._woken = True

    def select(self, timeout=None):
        if timeout is None or timeout > 0:
            self._turns = 0
            if not self._woken:
                self._wait(timeout)
        else:
            # Coroutines are ready. If they only pass the turn on for long, somebody may be waiting for the host.
            self._turns += 1
            if self._turns >= TURNS and not self._woken:
                self._turns = 0
                self._wait(0)
        self._woken = False
        return []

    def _wait(self, timeout):
        timer = None
        if timeout is not None:
            timer = host.start(b'{"op":"sleep","ns":%d}' % max(1, int(timeout * 1e9)))
        handles = tuple(self._answers) if timer is None else (timer, *self._answers)
        if not handles:
            scheduler.wait_until(self._is_woken)
            return
        ready = scheduler.wait_any(handles, self._is_woken)
        if ready is not None and ready != timer:
            self._deliver(ready)
        if timer is not None:
            if ready == timer:
                _exuvia.answer(timer)
            else:
                scheduler.drop(timer)

    def _deliver(self, handle):
        future = self._answers.pop(handle)
        answer = _exuvia.answer(handle)
        if not future.done():
            future.set_result(answer)

    def _is_woken(self):
        return self._woken


class EventLoop(selector_events.BaseSelectorEventLoop):
    """An event loop without descriptors, sockets, signals and processes."""

    def __init__(self, selector=None):
        super().__init__(selector if isinstance(selector, Selector) else Selector())

    def _make_self_pipe(self):
        self._internal_fds = 0

    def _close_self_pipe(self):
        pass

    def _write_to_self(self):
        self._selector.wake()

    def _process_events(self, event_list):
        pass

    def add_signal_handler(self, sig, callback, *args):
        raise NotImplementedError("there are no signals in Exuvia's guest")

    def remove_signal_handler(self, sig):
        return False

    async def subprocess_exec(self, *args, **kwargs):
        from exuvia_guest.processes import no_processes

        raise no_processes("asyncio subprocess", "do it in Python, or through a tool")

    subprocess_shell = subprocess_exec

    async def _no_sockets(self, *args, **kwargs):
        raise sockets.no_sockets()

    create_connection = create_server = create_unix_connection = create_unix_server = _no_sockets
    create_datagram_endpoint = connect_read_pipe = connect_write_pipe = start_tls = sendfile = _no_sockets
    sock_recv = sock_recv_into = sock_sendall = sock_connect = sock_accept = sock_sendto = sock_recvfrom = _no_sockets

    async def getaddrinfo(self, host, port, **kwargs):
        sockets._unresolved()

    async def getnameinfo(self, sockaddr, flags=0):
        sockets._unresolved()


class EventLoopPolicy(asyncio.DefaultEventLoopPolicy):
    _loop_factory = EventLoop


async def request(op, **fields):
    """`host.request` for coroutines: other coroutines go on meanwhile."""
    return host.value(await answer(host.begin(op, fields)))


async def answer(handle):
    """The host's answer to an effect; other coroutines go on meanwhile."""
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    selector = loop._selector
    selector.watch(handle, future)
    try:
        return await future
    finally:
        selector.forget(handle)


def install():
    selectors.DefaultSelector = Selector
    for module in (asyncio, asyncio.unix_events):
        module.SelectorEventLoop = EventLoop
        module.DefaultEventLoopPolicy = EventLoopPolicy
    asyncio.EventLoop = asyncio.unix_events.EventLoop = EventLoop
    asyncio.set_event_loop_policy(EventLoopPolicy())
    scheduler.get_running_loop = asyncio._get_running_loop
    scheduler.set_running_loop = asyncio._set_running_loop
