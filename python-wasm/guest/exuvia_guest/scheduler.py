"""Threads without threads: tasks that run on top of the code that waits.

WASI has one thread and no way to switch stacks. So a started thread is a *queued task*; when the running code waits, for the
host or for another task, the next queued task is run then and there, on top of its stack. The waits of all tasks on
the stack overlap. Only the topmost can go on: a wait that only a task beneath could end is raised as an error.

A task is preempted nowhere else than in a wait. A task that holds a lock starts no other task while it waits for the host,
since that one might need the lock.
"""

import sys
from collections import deque
from contextvars import Context
from time import monotonic_ns

import _exuvia
from exuvia_guest import stands, stuck

# Most tasks on the stack: beyond that, a wait for the host starts no further one, and then not even a wait for a task.
# The second bound leaves room for the task that would end the wait. Both are far from exhausting the C stack.
DEEP_FOR_HOST = 64
DEEP_FOR_TASK = 96
# Each task gets as many Python frames as a fresh thread would have.
RECURSION_PER_TASK = 1000
# Most handles in one wait, from shim.c.
MOST_HANDLES = 1024


class Task:
    """One thread: queued, on the stack, or finished."""

    __slots__ = ("ident", "body", "daemon", "held", "outer", "timer_waits", "overdue_since", "place", "until")

    def __init__(self, ident, body, daemon):
        self.ident = ident
        self.body = body
        self.daemon = daemon
        # Locks held: while there are any, waits for the host start no other task.
        self.held = 0
        # The exception that the code beneath was handling: it is no context of ours.
        self.outer = None
        # Waits for nothing but time, in a row: what pollers and heartbeats do.
        self.timer_waits = 0
        # When code beneath was first seen to be ready (ns), while this task kept polling.
        self.overdue_since = None
        # Where it goes on, if it was set aside (parking.py), and of a sleep then: (asked for, ends at), both ns.
        self.place = None
        self.until = None


main = Task(1, None, False)
stack = [main]
_queue = deque()
# Tasks that were set aside, and will be queued again: see parking.py.
parked = []
# Of each suspended wait, from the bottom: (handles, done); `done` is None or tells whether it is over.
_waits = []
# Handles that the host has reported ready, not yet consumed.
_known = set()


def _no_loop(*_):
    return None


# asyncio's running loop belongs to a thread; set by loops.py.
get_running_loop = set_running_loop = _no_loop


def _none():
    return False


# parking.revive, once that can be imported.
revive = _none


def new_task(body, daemon):
    """A task for a new thread. It is not queued yet."""
    new_task.count += 1
    return Task(new_task.count, body, daemon)


new_task.count = main.ident


def enqueue(task):
    """Let the task run when something waits."""
    _queue.append(task)


def has_queued():
    return bool(_queue or parked)


def run_remaining():
    """At the end of the program: run the threads that are not daemons to completion."""
    while True:
        task = next((task for task in _queue if not task.daemon), None)
        if task is not None:
            _queue.remove(task)
            _queue.appendleft(task)
            _run_next()
        elif not (any(not task.daemon for task in parked) and revive()):
            return


def offer():
    """Run one queued task if there is one: for code that polls without waiting."""
    if (_queue or revive()) and len(stack) < DEEP_FOR_HOST and not stack[-1].held:
        _waits.append(((), _always))
        try:
            _run_next()
        finally:
            _waits.pop()


def wait_answer(handle):
    """Wait for the host's answer to one effect; its bytes."""
    me = stack[-1]
    me.timer_waits = 0
    if len(stack) == 1 and not _queue and not parked:
        _exuvia.wait((handle,))
    else:
        wait_any((handle,))
    return _exuvia.answer(handle)


def sleep(ns):
    """Wait for nothing but time."""
    if ns <= 0:
        # To give up one's turn is a wait, too.
        offer()
        if len(stack) == 1:
            return
    me = stack[-1]
    if me is not main:
        _sleep_as_task(me, ns)
        return
    handle = _begin_sleep(ns)
    if len(stack) == 1 and not _queue and not parked:
        _exuvia.wait((handle,))
    else:
        wait_any((handle,), timer=True)
    stands.told(_exuvia.answer(handle))


def _begin_sleep(ns):
    handle = _exuvia.start(b'{"op":"sleep","ns":%d}' % ns)
    if handle < 0:
        raise RuntimeError("too many waits and calls are under way at once: use fewer threads")
    return handle


def _sleep_as_task(me, ns):
    """Sleep as a thread, which may have to give way, and then takes up its sleep where it was."""
    asked, end = ns, monotonic_ns() + ns
    if me.until is not None:
        if me.until[0] == asked:
            end = me.until[1]
            ns = max(end - monotonic_ns(), 0)
        me.until = None
    handle = _begin_sleep(ns)
    try:
        stuck.before_timer(me, beneath_is_ready, handle)
        wait_any((handle,), timer=True)
    except stuck.Parked:
        me.until = (asked, end)
        raise
    stands.told(_exuvia.answer(handle))


def wait_any(handles, done=None, timer=False):
    """Wait until the host has answered one of the handles, and return that one; or None once `done()` is true."""
    me = stack[-1]
    _waits.append((handles, done))
    # Until another task has run, nothing can be ready that was not.
    fresh = True
    try:
        while True:
            for handle in handles:
                if handle in _known:
                    _known.discard(handle)
                    return handle
            if done is not None and done():
                return None
            if (_queue or (parked and revive())) and not me.held and len(stack) < DEEP_FOR_HOST:
                if not fresh and _look(handles):
                    continue
                fresh = False
                _run_next()
            else:
                _wait_host(handles)
                if timer and me is not main and _known.isdisjoint(handles):
                    stuck.during_timer(me, handles[0])
    finally:
        _waits.pop()


def wait_until(done, timeout=None):
    """Wait until other tasks have made `done()` true. With a timeout (seconds), False when it passed before."""
    me = stack[-1]
    deadline = None if timeout is None else monotonic_ns() + int(timeout * 1e9)
    _waits.append(((), done if deadline is None else lambda: done() or monotonic_ns() >= deadline))
    try:
        while not done():
            if (_queue or (parked and revive())) and len(stack) < DEEP_FOR_TASK:
                _run_next()
            elif deadline is None:
                raise stuck.deadlock(me, len(stack), bool(_queue))
            left = 0 if deadline is None else deadline - monotonic_ns()
            if deadline is not None and (left <= 0 or not _queue):
                if left > 0 and not done():
                    sleep(left)
                return bool(done())
        return True
    finally:
        _waits.pop()


def _wait_host(handles):
    """Suspend the run until the host has an answer, for us or for a wait beneath: that one then need not ask."""
    every = _unknown(handles)
    which = _exuvia.wait(every)
    if which < 0:
        raise RuntimeError("the host does not know what is waited for")
    _known.add(every[which])


def _look(handles):
    """Learn which answers are there without waiting; whether one of ours is. A wait that ends at once says so, and is in the
    journal like any other."""
    now = _exuvia.start(b'{"op":"sleep","ns":0}')
    if now < 0:
        return False
    while True:
        every = _unknown(handles)
        del every[MOST_HANDLES - 1 :]
        every.append(now)
        which = _exuvia.wait(every)
        if which < 0 or every[which] == now:
            break
        _known.add(every[which])
    _exuvia.drop(now)
    return not _known.isdisjoint(handles)


def _unknown(handles):
    """All handles waited for on the stack whose answers are not known to be there, ours first."""
    every = [handle for handle in handles if handle not in _known]
    for others, _ in reversed(_waits):
        if others is not handles:
            every.extend(handle for handle in others if handle not in _known)
    del every[MOST_HANDLES:]
    return every


def beneath_is_ready():
    """Whether a wait on the stack is known to be over."""
    for handles, done in _waits:
        if not _known.isdisjoint(handles) or (done is not None and done()):
            return True
    return False


def _run_next():
    task = _queue.popleft()
    loop = get_running_loop()
    limit = sys.getrecursionlimit()
    task.outer = sys.exception()
    stack.append(task)
    sys.setrecursionlimit(limit + RECURSION_PER_TASK)
    if loop is not None:
        set_running_loop(None)
    try:
        Context().run(task.body)
    finally:
        if loop is not None:
            set_running_loop(loop)
        stack.pop()
        sys.setrecursionlimit(limit)
        task.outer = None


def cut_context(raised):
    """Unlink from an exception of the current task what the code beneath was handling."""
    outer = stack[-1].outer
    while outer is not None and raised is not None:
        if raised.__context__ is outer:
            raised.__context__ = None
            return
        raised = raised.__context__


def forget_handles():
    """At the begin of a further call of a session: the host knows none of those before."""
    del stack[1:]
    _waits.clear()
    _known.clear()


def _always():
    return True


def drop(handle):
    """Forget an effect, ready or not."""
    _known.discard(handle)
    _exuvia.drop(handle)
