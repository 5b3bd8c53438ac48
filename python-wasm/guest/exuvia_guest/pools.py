"""`concurrent.futures.ThreadPoolExecutor` over tasks.

The standard library's workers loop: each takes the next item until there is none, and then blocks. A task that blocks
keeps everything beneath it from going on, so here a worker ends after one item and is queued again for the next. Its
identity stays: name, ident, thread-locals and the initializer's effect are those of one thread.
"""

import itertools
import threading
from collections import deque
from concurrent.futures import _base, thread

from exuvia_guest import scheduler, threads

# CPython's default is processors + 4. Waits cost no threads here, so as many as CPython would have on a large machine.
DEFAULT_WORKERS = 32


class ThreadPoolExecutor(_base.Executor):
    """As in the standard library; see the module's documentation for what differs inside."""

    _counter = itertools.count().__next__

    def __init__(self, max_workers=None, thread_name_prefix="", initializer=None, initargs=()):
        if max_workers is None:
            max_workers = DEFAULT_WORKERS
        if max_workers <= 0:
            raise ValueError("max_workers must be greater than 0")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        self._max_workers = max_workers
        self._thread_name_prefix = thread_name_prefix or "ThreadPoolExecutor-%d" % self._counter()
        self._initializer = initializer
        self._initargs = initargs
        self._threads = set()
        self._idle = []
        self._items = deque()
        self._broken = False
        self._shutdown = False

    def submit(self, fn, /, *args, **kwargs):
        if self._broken:
            raise thread.BrokenThreadPool(self._broken)
        if self._shutdown:
            raise RuntimeError("cannot schedule new futures after shutdown")
        future = _base.Future()
        self._items.append((future, fn, args, kwargs))
        if self._idle:
            self._idle.pop().queue_task()
        elif len(self._threads) < self._max_workers:
            _Worker(self).queue_task()
        return future

    submit.__doc__ = _base.Executor.submit.__doc__

    def shutdown(self, wait=True, *, cancel_futures=False):
        self._shutdown = True
        if cancel_futures:
            while self._items:
                self._items.popleft()[0].cancel()
        if wait:
            scheduler.wait_until(self._all_idle)
        if self._all_idle():
            self._end_threads()

    shutdown.__doc__ = _base.Executor.shutdown.__doc__

    def _all_idle(self):
        return len(self._idle) == len(self._threads)

    def _end_threads(self):
        for worker in self._threads:
            worker.end()

    def _work_done(self, worker):
        """A worker has finished an item: on with the next, or idle."""
        if self._items:
            worker.queue_task()
            return
        self._idle.append(worker)
        if self._shutdown and self._all_idle():
            self._end_threads()

    def _initializer_failed(self):
        self._broken = "A thread initializer failed, the thread pool is not usable anymore"
        while self._items:
            self._items.popleft()[0].set_exception(thread.BrokenThreadPool(self._broken))


class QueuedThread(threading.Thread):
    """A thread that is never started: its task is queued each time there is something to do, and keeps its identity."""

    def adopt(self, body):
        """Count as a running thread, whose task is to call `body`."""
        self._task = scheduler.new_task(body, False)
        self._ident = self._native_id = self._handle.ident = self._task.ident
        self._started.set()
        threading._active[self._ident] = self

    def queue_task(self):
        scheduler.enqueue(self._task)

    def end(self):
        threading._active.pop(self._ident, None)
        self._handle._set_done()


class _Worker(QueuedThread):
    """One thread of a pool: it takes one item each time."""

    def __init__(self, pool):
        super().__init__(name=f"{pool._thread_name_prefix}_{len(pool._threads)}", daemon=False)
        self._pool = pool
        self._is_initialized = False
        self.adopt(self._work)
        pool._threads.add(self)

    def _work(self):
        pool = self._pool
        try:
            if not self._is_initialized:
                self._is_initialized = True
                if pool._initializer is not None:
                    self._initialize()
            if pool._items:
                _run(*pool._items.popleft())
        finally:
            pool._work_done(self)

    def _initialize(self):
        pool = self._pool
        try:
            pool._initializer(*pool._initargs)
        except BaseException:
            _base.LOGGER.critical("Exception in initializer:", exc_info=True)
            pool._initializer_failed()


def _run(future, fn, args, kwargs):
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = fn(*args, **kwargs)
    except BaseException as raised:
        scheduler.cut_context(raised)
        future.set_exception(raised)
    else:
        future.set_result(result)


class ProcessPoolExecutor(_base.Executor):
    """Refused: there is one process."""

    def __init__(self, *args, **kwargs):
        from exuvia_guest.processes import no_processes

        raise no_processes("ProcessPoolExecutor", "use ThreadPoolExecutor, whose waits overlap")


def install():
    import concurrent.futures

    for ours in (ThreadPoolExecutor, ProcessPoolExecutor):
        ours.__module__ = "concurrent.futures"
        setattr(concurrent.futures, ours.__name__, ours)
    thread.ThreadPoolExecutor = ThreadPoolExecutor
    _patch_done()


def _patch_done():
    """A program may ask `future.done()` in a loop."""
    done = _base.Future.done

    def polled_done(self):
        if not done(self):
            threads.polled()
        return done(self)

    polled_done.__name__ = "done"
    polled_done.__doc__ = done.__doc__
    _base.Future.done = polled_done
