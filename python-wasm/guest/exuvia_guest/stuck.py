"""Tasks that cannot go on, or keep others from going on: what is raised in them.

See scheduler.py for why: only the topmost task can run.
"""

import sys
from time import monotonic_ns

import _exuvia

# A thread that has waited for nothing but time so often in a row is perhaps a poller or a heartbeat. When code beneath it could go
# on, it is set aside for it, if that can be (see parking.py).
TIMER_WAITS = 3
# If not, it may take its time: it is stopped when it went on so, so often and so long (ns) after the code beneath was ready.
MOST_TIMER_WAITS = 10
OVERDUE = 10_000_000_000

# Modules through which a program waits: the name of the wait is that of the outermost function in them.
_WAITERS = ("/threading.py", "/queue.py", "/concurrent/futures/_base.py", "/exuvia_guest/")


class ThreadEnded(SystemExit):
    """Ends a daemon thread that can never go on; threads end silently by SystemExit."""


class Parked(BaseException):
    """Unwinds a thread that is set aside by parking.py. It does not end the thread."""


def _no_place(timed=False):
    return None


# parking.place, once that can be imported.
find_place = _no_place


def deadlock(me, depth, queued):
    """The exception for a wait that nothing can end while this task is in it."""
    if depth > 1 and not queued:
        me.place = find_place()
        if me.place is not None:
            return Parked()
    wait = _name_of_wait()
    if me.daemon and depth > 1:
        return ThreadEnded(f"{wait} in a daemon thread can never return")
    if depth == 1:
        return RuntimeError(f"deadlock: {wait} would wait for ever, for no thread is left that could end the wait")
    if queued:
        return RuntimeError(
            f"{wait} waits for a thread that cannot start: {depth} waits are nested already, which is the most. "
            "Use fewer workers at a time"
        )
    return RuntimeError(
        f"deadlock: {wait} can only be ended by code that is suspended beneath this thread. Threads here run one on top of "
        "the other, so a thread can wait for one that was started later, not for one that started earlier. Fill queues "
        "before starting their consumers, use ThreadPoolExecutor.map or submit, use asyncio, or give a timeout"
    )


def before_timer(me, beneath_is_ready, handle):
    """Called before a task other than the main program waits for time. Raises when it should rather give way."""
    me.timer_waits += 1
    if me.timer_waits < TIMER_WAITS or not beneath_is_ready():
        me.overdue_since = None
        return
    _set_aside(me, handle)
    now = monotonic_ns()
    if me.overdue_since is None:
        me.overdue_since = now
        me.timer_waits = TIMER_WAITS
    elif me.timer_waits > MOST_TIMER_WAITS and now - me.overdue_since > OVERDUE:
        _exuvia.drop(handle)
        if me.daemon:
            raise ThreadEnded("a daemon thread kept waiting while the code that started it could go on")
        raise RuntimeError(
            "this thread keeps polling while the code beneath it, which could end that, cannot go on. Threads here run on top "
            "of the code that waits for them: do not poll for what earlier code will do"
        )


def during_timer(me, handle):
    """Called when something beneath became ready while the task waited for time."""
    if me.timer_waits >= TIMER_WAITS:
        _set_aside(me, handle)


def _set_aside(me, handle):
    """Set the task aside if that can be."""
    me.place = find_place(timed=True)
    if me.place is not None:
        _exuvia.drop(handle)
        raise Parked


def _name_of_wait():
    """What the program called, as `Queue.get()`."""
    frame = sys._getframe(1)
    name = "a wait"
    while frame is not None:
        code = frame.f_code
        if not any(part in code.co_filename for part in _WAITERS) or code.co_name == "run":
            # The program, or the thread whose function this is.
            return name
        owner = frame.f_locals.get("self")
        if owner is not None:
            name = f"{type(owner).__name__}.{code.co_name}()"
        elif not code.co_filename.endswith("stuck.py") and "/exuvia_guest/" not in code.co_filename:
            name = f"{code.co_name}()"
        frame = frame.f_back
    return name
