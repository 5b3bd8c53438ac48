"""The calls of one session: what stays from each to the next, and what is new.

The host keeps the memory of a call that returned, and begins the next one in it. So everything stays by itself: the globals,
modules, open files, threads that wait. What belongs to one call alone is made new here.
"""

import sys
from types import ModuleType

from exuvia_guest import ending, scheduler

# The session's `__main__`, once it has one.
_main = None
_calls = 0


def begin(name):
    """The module that a call's globals are in, and the file name of its source: code of earlier calls keeps its own, so that
    tracebacks show the right lines."""
    global _main, _calls
    _calls += 1
    if _main is None:
        _main = ModuleType("__main__")
        return _main, name
    # What was under way is gone, and its handles are nobody's.
    scheduler.forget_handles()
    ending.renew_streams()
    sys.argv = [name]
    return _main, f"{name} (call {_calls})"
