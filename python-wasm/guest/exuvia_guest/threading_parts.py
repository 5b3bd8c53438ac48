"""The few parts of `threading` and `queue` that are not right when built on `_thread` alone."""

import sys
from collections import deque

from exuvia_guest import scheduler, threads
from exuvia_guest.locks import WaiterLock, check_timeout
from exuvia_guest.stuck import Parked, ThreadEnded


class SimpleQueue:
    """`queue.SimpleQueue`; the standard library's counts with a semaphore, which would look like a held permit."""

    def __init__(self):
        self._items = deque()

    def put(self, item, block=True, timeout=None):
        self._items.append(item)

    def get(self, block=True, timeout=None):
        if timeout is not None and timeout < 0:
            raise ValueError("'timeout' must be a non-negative number")
        if not self._items:
            import queue

            timeout = check_timeout(block, -1 if timeout is None or not block else timeout)
            if timeout == 0 or not scheduler.wait_until(self.qsize, timeout):
                raise queue.Empty
        return self._items.popleft()

    def put_nowait(self, item):
        self._items.append(item)

    def get_nowait(self):
        return self.get(False)

    def empty(self):
        if self._items:
            return False
        threads.polled()
        return not self._items

    def qsize(self):
        return len(self._items)

    def __class_getitem__(cls, item):
        from types import GenericAlias

        return GenericAlias(cls, item)


def install(queue):
    import threading

    queue.SimpleQueue = SimpleQueue
    threading._allocate_lock = WaiterLock
    _patch_semaphore(threading)
    _patch_event(threading)
    _patch_excepthook(threading)
    from exuvia_guest import parking

    parking.install()
    # threading.py made the main thread's record from the identity that it found.
    assert threading.main_thread().ident == scheduler.main.ident


def _patch_semaphore(threading):
    """Who takes a semaphore's last permit holds it like a lock: others that might need one are not started meanwhile."""

    class Semaphore(threading.Semaphore):
        def __init__(self, value=1):
            super().__init__(value)
            self._initial = value
            self._last = None

        def acquire(self, blocking=True, timeout=None):
            taken = super().acquire(blocking, timeout)
            # One that began at 0 signals rather than limits.
            if taken and self._value == 0 and self._initial > 0 and self._last is None:
                self._last = scheduler.stack[-1]
                self._last.held += 1
            return taken

        __enter__ = acquire

        def release(self, n=1):
            super().release(n)
            if self._last is not None:
                self._last.held -= 1
                self._last = None

    class BoundedSemaphore(Semaphore):
        def release(self, n=1):
            with self._cond:
                if self._value + n > self._initial:
                    raise ValueError("Semaphore released too many times")
            super().release(n)

    for ours in (Semaphore, BoundedSemaphore):
        ours.__module__ = "threading"
        ours.__qualname__ = ours.__name__
        setattr(threading, ours.__name__, ours)


def _patch_event(threading):
    is_set = threading.Event.is_set

    def polled_is_set(self):
        if not is_set(self):
            threads.polled()
        return is_set(self)

    polled_is_set.__name__ = "is_set"
    polled_is_set.__doc__ = is_set.__doc__
    threading.Event.is_set = polled_is_set


def _patch_excepthook(threading):
    """An error in a thread has nothing to do with what the code beneath it was handling."""
    make = threading._make_invoke_excepthook

    def make_invoke_excepthook():
        invoke = make()

        def invoke_excepthook(thread):
            raised = sys.exception()
            if not isinstance(raised, (Parked, ThreadEnded)):
                scheduler.cut_context(raised)
                invoke(thread)

        return invoke_excepthook

    threading._make_invoke_excepthook = make_invoke_excepthook
