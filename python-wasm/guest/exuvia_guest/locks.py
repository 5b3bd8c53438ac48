"""`Lock` and `RLock` between tasks (scheduler.py)."""

from exuvia_guest import scheduler
from exuvia_guest.scheduler import stack

TIMEOUT_MAX = 9223372036.0


def check_timeout(blocking, timeout):
    """The seconds to wait at most, None for ever, 0 for not at all; errors as CPython's."""
    if not blocking:
        if timeout != -1:
            raise ValueError("can't specify a timeout for a non-blocking call")
        return 0
    if timeout == -1:
        return None
    if timeout < 0:
        raise ValueError("timeout value must be a non-negative number")
    if timeout > TIMEOUT_MAX:
        raise OverflowError("timeout value is too large")
    return timeout


class Lock:
    """A lock that any task may release."""

    __slots__ = ("_owner", "__weakref__")

    def __init__(self):
        self._owner = None

    def acquire(self, blocking=True, timeout=-1):
        if self._owner is not None or timeout != -1:
            timeout = check_timeout(blocking, timeout)
            if self._owner is not None and (timeout == 0 or not scheduler.wait_until(self._free, timeout)):
                return False
        self._owner = me = stack[-1]
        me.held += 1
        return True

    def release(self):
        if self._owner is None:
            raise RuntimeError("release unlocked lock")
        self._owner.held -= 1
        self._owner = None

    def __enter__(self):
        return self.acquire()

    def __exit__(self, *_):
        self.release()

    def locked(self):
        return self._owner is not None

    def _free(self):
        return self._owner is None

    def _at_fork_reinit(self):
        if self._owner is not None:
            self.release()

    def __reduce__(self):
        raise TypeError("cannot pickle '_thread.lock' object")

    def __repr__(self):
        state = "unlocked" if self._owner is None else "locked"
        return f"<{state} _thread.lock object at {id(self):#x}>"

    acquire_lock = acquire
    release_lock = release
    locked_lock = locked


class WaiterLock(Lock):
    """What `Condition.wait` waits on. It protects nothing, so holding it does not keep others from starting."""

    __slots__ = ()

    def acquire(self, blocking=True, timeout=-1):
        if self._owner is not None:
            timeout = check_timeout(blocking, timeout)
            if timeout == 0 or not scheduler.wait_until(self._free, timeout):
                return False
        self._owner = stack[-1]
        return True

    def release(self):
        if self._owner is None:
            raise RuntimeError("release unlocked lock")
        self._owner = None


class RLock:
    """A lock that its owner may take again, and that only its owner releases."""

    __slots__ = ("_owner", "_depth", "__weakref__")

    def __init__(self):
        self._owner = None
        self._depth = 0

    def acquire(self, blocking=True, timeout=-1):
        me = stack[-1]
        if self._owner is me:
            self._depth += 1
            return True
        if self._owner is not None or timeout != -1:
            timeout = check_timeout(blocking, timeout)
            if self._owner is not None and (timeout == 0 or not scheduler.wait_until(self._free, timeout)):
                return False
        self._owner = me
        self._depth = 1
        me.held += 1
        return True

    def release(self):
        me = stack[-1]
        if self._owner is not me:
            raise RuntimeError("cannot release un-acquired lock")
        self._depth -= 1
        if not self._depth:
            self._owner = None
            me.held -= 1

    def __enter__(self):
        return self.acquire()

    def __exit__(self, *_):
        self.release()

    def _free(self):
        return self._owner is None

    # What `threading.Condition` needs of its lock.

    def _is_owned(self):
        return self._owner is stack[-1]

    def _recursion_count(self):
        return self._depth if self._owner is stack[-1] else 0

    def _release_save(self):
        if self._owner is None:
            raise RuntimeError("cannot release un-acquired lock")
        saved = (self._depth, self._owner)
        self._owner.held -= 1
        self._owner = None
        self._depth = 0
        return saved

    def _acquire_restore(self, saved):
        self.acquire()
        self._depth = saved[0]

    def _at_fork_reinit(self):
        if self._owner is not None:
            self._release_save()

    def __reduce__(self):
        raise TypeError("cannot pickle '_thread.RLock' object")

    def __repr__(self):
        state = "unlocked" if self._owner is None else "locked"
        owner = 0 if self._owner is None else self._owner.ident
        return f"<{state} _thread.RLock object owner={owner} count={self._depth} at {id(self):#x}>"
