"""`multiprocessing.pool.ThreadPool` (and `multiprocessing.dummy.Pool`), over our ThreadPoolExecutor."""

from concurrent.futures import as_completed, wait

from exuvia_guest.pools import ThreadPoolExecutor


class AsyncResult:
    """The outcome of calls under way: one value, or with `many` a list."""

    def __init__(self, futures, many, callback=None, error_callback=None):
        self._futures = futures
        self._many = many
        self._callback = callback
        self._error_callback = error_callback
        self._left = len(futures)
        for future in futures:
            future.add_done_callback(self._one_done)
        if not futures:
            self._call_back()

    def _one_done(self, _):
        self._left -= 1
        if not self._left:
            self._call_back()

    def _call_back(self):
        try:
            value = self.get()
        except BaseException as error:
            if self._error_callback:
                self._error_callback(error)
        else:
            if self._callback:
                self._callback(value)

    def get(self, timeout=None):
        self.wait(timeout)
        if not self.ready():
            from multiprocessing import TimeoutError

            raise TimeoutError
        values = [future.result() for future in self._futures]
        return values if self._many else values[0]

    def wait(self, timeout=None):
        wait(self._futures, timeout)

    def ready(self):
        return all(future.done() for future in self._futures)

    def successful(self):
        if not self.ready():
            raise ValueError(f"{self!r} not ready")
        return not any(future.cancelled() or future.exception() for future in self._futures)


class ThreadPool:
    """A pool of threads with the interface of `multiprocessing.Pool`."""

    def __init__(self, processes=None, initializer=None, initargs=()):
        if processes is not None and processes < 1:
            raise ValueError("Number of processes must be at least 1")
        self._executor = ThreadPoolExecutor(processes, "ThreadPool", initializer, initargs)
        self._closed = False

    def apply(self, func, args=(), kwds={}):
        return self.apply_async(func, args, kwds).get()

    def apply_async(self, func, args=(), kwds={}, callback=None, error_callback=None):
        return self._start([self._submit(func, *args, **kwds)], False, callback, error_callback)

    def map(self, func, iterable, chunksize=None):
        return self.map_async(func, iterable).get()

    def map_async(self, func, iterable, chunksize=None, callback=None, error_callback=None):
        return self._start([self._submit(func, item) for item in iterable], True, callback, error_callback)

    def starmap(self, func, iterable, chunksize=None):
        return self.starmap_async(func, iterable).get()

    def starmap_async(self, func, iterable, chunksize=None, callback=None, error_callback=None):
        return self._start([self._submit(func, *items) for items in iterable], True, callback, error_callback)

    def imap(self, func, iterable, chunksize=1):
        return _Results([self._submit(func, item) for item in iterable])

    def imap_unordered(self, func, iterable, chunksize=1):
        return _Results(as_completed([self._submit(func, item) for item in iterable]))

    def close(self):
        self._closed = True

    def terminate(self):
        self._closed = True
        self._executor.shutdown(wait=False, cancel_futures=True)

    def join(self):
        if not self._closed:
            raise ValueError("Pool is still running")
        self._executor.shutdown()

    def _submit(self, func, *args, **kwargs):
        if self._closed:
            raise ValueError("Pool not running")
        return self._executor.submit(func, *args, **kwargs)

    def _start(self, futures, many, callback, error_callback):
        return AsyncResult(futures, many, callback, error_callback)

    def __enter__(self):
        if self._closed:
            raise ValueError("Pool not running")
        return self

    def __exit__(self, *_):
        self.terminate()


class _Results:
    """The iterator of `imap`, whose `next` takes a timeout."""

    def __init__(self, futures):
        self._futures = iter(futures)

    def __iter__(self):
        return self

    def next(self, timeout=None):
        return next(self._futures).result(timeout)

    def __next__(self):
        return self.next()


def pool(processes=None, initializer=None, initargs=()):
    """`multiprocessing.dummy.Pool`"""
    return ThreadPool(processes, initializer, initargs)


def install():
    from multiprocessing import dummy
    from multiprocessing import pool as module

    ThreadPool.__module__ = "multiprocessing.pool"
    module.ThreadPool = ThreadPool
    dummy.Pool = pool
