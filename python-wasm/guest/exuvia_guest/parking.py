"""Sets a thread aside that waits for code beneath it, and lets it go on later where it was.

Only the topmost task can run, so a worker that waits for its next item (`item = queue.get()`) on top of the code that would
put it there keeps that code from going on. Where a thread's own function makes such a wait directly, its state is small: local
variables and a line. So the stack is unwound by `stuck.Parked`, the state kept, and when what it waits for is there,
the function is called again, made to jump to that line (as a debugger does) and given its variables.

That repeats the line's beginning. So it is done only where that cannot be seen: nothing but loads may come before the wait in
its line, no `try` or `with` may surround it, and the wait itself must have had no effect.
"""

import dis
import inspect
import sys
import threading

from exuvia_guest import scheduler, stuck

# Instructions that may come before the wait in its line: repeating them changes nothing.
HARMLESS = tuple(
    "LOAD_ PUSH_NULL NOP RESUME COPY SWAP EXTENDED_ARG TO_BOOL UNARY_ POP_JUMP_IF_ BINARY_ COMPARE_OP IS_OP CONTAINS_OP BUILD_"
    " FORMAT_ CONVERT_VALUE".split()
)
# Generators and coroutines: their state is not that of a plain call.
SUSPENDABLE = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


class Place:
    """Where a thread was set aside: how to call its function again, and when."""

    __slots__ = ("thread", "function", "code", "line", "variables", "ready")

    def __init__(self, thread, frame, ready):
        self.thread = thread
        # `Thread.run` deletes these on its way out.
        self.function = {name: vars(thread)[name] for name in ("_target", "_args", "_kwargs") if name in vars(thread)}
        self.code = frame.f_code
        self.line = frame.f_lineno
        # Not those of the functions around it, which others may change meanwhile.
        self.variables = {name: value for name, value in frame.f_locals.items() if name in self.code.co_varnames}
        self.ready = ready

    def resume(self):
        """Run the thread on from here: called as its task, instead of its first start."""
        vars(self.thread).update(self.function)
        threading._limbo[self.thread] = self.thread
        sys.settrace(self._on_call)
        try:
            self.thread._bootstrap_inner()
        finally:
            sys.settrace(None)

    def _on_call(self, frame, event, argument):
        return self._on_line if frame.f_code is self.code else None

    def _on_line(self, frame, event, argument):
        if event != "line":
            return self._on_line
        sys.settrace(None)
        # Variables that had no value get None, as they would by the jump, with a warning.
        frame.f_locals.update(dict.fromkeys(self.code.co_varnames) | self.variables)
        if frame.f_lineno != self.line:
            frame.f_lineno = self.line
        return None


def place(timed=False):
    """Where the current task could be set aside, if it can, for the wait it is in; `timed`: a wait for time, too."""
    if sys.gettrace() is not None:
        return None
    frame, wait, owner = _program_frame()
    if frame is None or not _is_repeatable(frame):
        return None
    ready = _nothing_beneath_is_ready if timed else _readiness(wait, owner)
    thread = _thread_of(frame.f_back)
    return None if ready is None or thread is None else Place(thread, frame, ready)


def _nothing_beneath_is_ready():
    # Or the thread would be set aside again at once.
    return not scheduler.beneath_is_ready()


def _thread_of(caller):
    """The thread whose function was called by this frame: its target, or its own `run`."""
    if caller is not None and _is_of_thread(caller, "run"):
        caller = caller.f_back
    if caller is not None and _is_of_thread(caller, "_bootstrap_inner"):
        return caller.f_locals["self"]
    return None


def _is_of_thread(frame, name):
    return frame.f_code is getattr(threading.Thread, name).__code__


def _program_frame():
    """The program's innermost frame, and the function of the library through which it waits, with its object."""
    frame = sys._getframe(1)
    wait = owner = None
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.endswith(("/threading.py", "/queue.py", "/_base.py")) and "/exuvia_guest/" not in name:
            return (frame, wait, owner) if owner is not None else (None, None, None)
        wait, owner = frame.f_code.co_name, frame.f_locals.get("self")
        frame = frame.f_back
    return None, None, None


def _readiness(wait, owner):
    """When a wait would be over: a function, or None for waits that cannot be repeated."""
    import queue
    from concurrent.futures import Future

    if isinstance(owner, (queue.Queue, queue.SimpleQueue)) and wait == "get":
        return lambda: owner.qsize() > 0 or getattr(owner, "is_shutdown", False)
    if isinstance(owner, queue.Queue) and wait == "join":
        return lambda: not owner.unfinished_tasks
    if isinstance(owner, queue.Queue) and wait == "put":
        return lambda: owner.qsize() < owner.maxsize or getattr(owner, "is_shutdown", False)
    if isinstance(owner, threading.Event) and wait == "wait":
        return lambda: owner._flag
    if isinstance(owner, threading.Thread) and wait == "join":
        return lambda: owner._handle._done
    if isinstance(owner, Future) and wait in ("result", "exception"):
        return lambda: owner._state in ("CANCELLED", "CANCELLED_AND_NOTIFIED", "FINISHED")
    return None


def _is_repeatable(frame):
    """Whether the frame's line can be begun anew without a trace."""
    code = frame.f_code
    if code.co_cellvars or code.co_flags & SUSPENDABLE:
        return False
    if any(entry.start <= frame.f_lasti < entry.end for entry in dis._parse_exception_table(code)):
        return False
    line = []
    for instruction in dis.get_instructions(code):
        if instruction.opname == "FOR_ITER" and instruction.offset < frame.f_lasti < instruction.jump_target:
            # The loop's iterator is lost with the frame.
            return False
        # What comes before the wait without a gap: of a loop's condition there are two copies in the code.
        if instruction.line_number != frame.f_lineno:
            line.clear()
            continue
        line.append(instruction)
        if instruction.offset == frame.f_lasti:
            break
    *before, wait = line
    if wait.opname == "FOR_ITER":
        # `for item in iter(queue.get, None)` is the one loop whose iterator can be made again.
        calls = [i for i in before if i.opname.startswith("CALL")]
        return len(calls) == 1 and any(i.opname == "LOAD_GLOBAL" and i.argval == "iter" for i in before)
    return wait.opname.startswith("CALL") and all(i.opname.startswith(HARMLESS) for i in before)


def revive():
    """Queue the tasks whose waits would now be over; whether there are any."""
    ready = [task for task in scheduler.parked if task.place.ready()]
    for task in ready:
        scheduler.parked.remove(task)
        scheduler.enqueue(task)
    return bool(ready)


def report_forgotten():
    """At the end of the program: what still waits would, in CPython, keep the process from ending."""
    names = [task.place.thread.name for task in scheduler.parked if not task.daemon]
    if names:
        print(f"exuvia: at the end of the program these threads were still waiting: {', '.join(names)}", file=sys.stderr)


def install():
    scheduler.revive = revive
    stuck.find_place = place
