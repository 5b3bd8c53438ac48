"""The module `_thread`, on top of scheduler.py: with it the standard library's threading.py works as it is.

`install()` must come before `threading` is imported.
"""

import _thread
import sys

from exuvia_guest import scheduler
from exuvia_guest.locals import local
from exuvia_guest.locks import Lock, RLock

# A poller that never waits (`while thread.is_alive(): pass`) gives way each time it has asked so often.
POLLS = 64
_polls = 0


class ThreadHandle:
    """What `threading.Thread` joins: done once the thread's function has returned."""

    __slots__ = ("ident", "_done")

    def __init__(self, ident=0):
        self.ident = ident
        self._done = False

    def is_done(self):
        if not self._done:
            polled()
        return self._done

    def _set_done(self):
        self._done = True

    def join(self, timeout=None):
        if self._done:
            return
        if self.ident == scheduler.stack[-1].ident:
            raise RuntimeError("Cannot join current thread")
        if timeout is None or timeout < 0:
            scheduler.wait_until(self._is_done)
        elif timeout > 0:
            scheduler.wait_until(self._is_done, timeout)

    def _is_done(self):
        return self._done


def polled():
    """Called where a program may ask in a loop without waiting."""
    global _polls
    _polls += 1
    if _polls >= POLLS:
        _polls = 0
        scheduler.offer()


def get_ident():
    return scheduler.stack[-1].ident


def start_joinable_thread(function, *, handle=None, daemon=True):
    if not callable(function):
        raise TypeError("thread function must be callable")
    if handle is None:
        handle = ThreadHandle()

    def body():
        place, task.place = task.place, None
        try:
            if place is None:
                function()
            else:
                place.resume()
        except SystemExit:
            pass
        except BaseException as raised:
            scheduler.cut_context(raised)
            _unraisable(raised, function)
        finally:
            if task.place is None:
                handle._done = True
            else:
                scheduler.parked.append(task)

    task = scheduler.new_task(body, daemon)
    handle.ident = task.ident
    thread = getattr(function, "__self__", None)
    if hasattr(thread, "_started") and hasattr(thread, "_bootstrap_inner"):
        # Thread.start() waits for this: the thread is only queued, but counts as started, as one that waits for a processor.
        thread._ident = thread._native_id = task.ident
        thread._started.set()
    scheduler.enqueue(task)
    return handle


def start_new_thread(function, args, kwargs={}):
    if not callable(function):
        raise TypeError("first arg must be callable")
    if type(args) is not tuple:
        raise TypeError("2nd arg must be a tuple")
    return start_joinable_thread(lambda: function(*args, **kwargs)).ident


def exit():
    raise SystemExit


def _unraisable(raised, function):
    from types import SimpleNamespace

    sys.unraisablehook(
        SimpleNamespace(
            exc_type=type(raised),
            exc_value=raised,
            exc_traceback=raised.__traceback__,
            err_msg="Exception ignored in thread started by",
            object=function,
        )
    )


def _nothing(*_):
    return None


def _main_ident():
    return scheduler.main.ident


def _count():
    return len(scheduler.stack) - 1


def _true():
    return True


def install():
    """Put ours into `_thread`, then see to it that `threading` and `queue` are built on it."""
    if "threading" in sys.modules:
        raise ImportError("threading was imported before its foundation was replaced")
    for name, ours in {
        "lock": Lock,
        "LockType": Lock,
        "allocate_lock": Lock,
        "allocate": Lock,
        "RLock": RLock,
        "_local": local,
        "_ThreadHandle": ThreadHandle,
        "_make_thread_handle": ThreadHandle,
        "start_joinable_thread": start_joinable_thread,
        "start_new_thread": start_new_thread,
        "start_new": start_new_thread,
        "get_ident": get_ident,
        "get_native_id": get_ident,
        "_get_main_thread_ident": _main_ident,
        "_is_main_interpreter": _true,
        "daemon_threads_allowed": _true,
        "_shutdown": scheduler.run_remaining,
        "_count": _count,
        "exit": exit,
        "exit_thread": exit,
        "_set_sentinel": _nothing,
    }.items():
        setattr(_thread, name, ours)
    # The C form of SimpleQueue would block for ever: `queue` must not find it.
    sys.modules["_queue"] = None
    import queue

    del sys.modules["_queue"]
    from exuvia_guest import threading_parts

    threading_parts.install(queue)
