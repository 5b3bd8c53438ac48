"""Makes the objects of the snapshot immortal, so that using one writes no reference count.

Else a run's every look at a module, a class or a function writes to that object's page, which must then be copied, kept in
memory and restored. None of these objects can die in a run anyway, but for those that a program replaces; that memory is
the run's to lose.
"""

import ctypes
import gc
import sys
from types import CodeType

# `_Py_IMMORTAL_REFCNT` of CPython 3.13 on 32 bits, where the count is an object's first word.
IMMORTAL = 0xFFFFFFFF >> 2
# 1 GiB, more than a snapshot has. Only objects are looked at.
WORDS = 1 << 28


def make_immortal():
    """Everything that can be reached from what the garbage collector knows, and from all types."""
    if sys.platform != "wasi":
        return  # The guest's own tests: counts lie and look otherwise there.
    counts = (ctypes.c_uint32 * WORDS).from_address(0)
    reached = [*gc.get_objects(), *_parts_of_types()]
    while reached:
        fresh = []
        for thing in reached:
            place = id(thing) >> 2
            if counts[place] != IMMORTAL:
                counts[place] = IMMORTAL
                fresh.append(thing)
        reached = gc.get_referents(*fresh)
        for thing in fresh:
            # What the collector does not follow: it cannot be part of a cycle.
            if type(thing) is dict:
                reached.extend(thing)
            elif type(thing) is CodeType:
                reached += (thing.co_consts, thing.co_names, thing.co_filename, thing.co_name, thing.co_qualname)
                reached += (thing.co_linetable, thing.co_exceptiontable)


def _parts_of_types():
    """Of types written in C the collector knows nothing."""
    types, seen = [object], {object}
    for kind in types:
        for name, value in vars(kind).items():
            yield name
            yield value
        yield from (vars(kind), type.__dict__["__mro__"].__get__(kind))
        for below in type.__subclasses__(kind):
            if below not in seen:
                seen.add(below)
                types.append(below)
