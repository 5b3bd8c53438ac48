"""anyio's worker threads (`anyio.to_thread.run_sync`) without their wait for the next item; see pools.py for why."""

from collections import deque

from anyio._backends import _asyncio

from exuvia_guest.pools import QueuedThread


class _Inbox:
    """What anyio puts its calls in. `get` answers None, which ends the worker's loop, when there is nothing more."""

    def __init__(self, worker):
        self._worker = worker
        self._items = deque()

    def put_nowait(self, item):
        if item is None:
            self._worker.end()
        else:
            self._items.append(item)
            self._worker.queue_task()

    def get(self):
        return self._items.popleft() if self._items else None

    def task_done(self):
        pass


class WorkerThread(_asyncio.WorkerThread, QueuedThread):
    def __init__(self, *args):
        super().__init__(*args)
        self.queue = _Inbox(self)

    def start(self):
        self.adopt(self.run)


def install():
    _asyncio.WorkerThread = WorkerThread
