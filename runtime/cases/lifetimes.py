# The snapshot's objects never die; a program's do, also where they hang on those.
import collections
import gc
import json
import types
import weakref

died = []


class Thing(collections.UserDict):
    """Of a class of the snapshot, so that its type, bases and methods are."""


def made(name, **attributes):
    thing = Thing(attributes)
    weakref.finalize(thing, died.append, name)
    return thing


# Counted.
thing = made("counted")
del thing

# In a container of the snapshot, and replaced there.
json.extra = made("in a module")
json.extra = None
del json.extra
registry = types.__dict__
registry["extra"] = made("in a module's dict")
del registry["extra"]
json.JSONEncoder.extra = made("in a class")
del json.JSONEncoder.extra

# In a cycle with an object of the snapshot, and one of its own.
cycle = made("in a cycle")
cycle["self"] = cycle
cycle["module"] = json
del cycle
gc.collect()

# With the snapshot's objects back among those that are collected.
gc.unfreeze()
other = made("after unfreeze")
other["self"] = other
other["class"] = json.JSONEncoder
del other
gc.collect()
gc.freeze()

# What the snapshot held is not harmed by its loss.
decoder = json.decoder
del json.decoder
gc.collect()
json.decoder = decoder
print(json.loads(json.dumps({"works": [1, 2.5, None]})))

# Tuples that C code uses again when nobody else holds them.
pairs = list(zip("ab", "cd"))
print(pairs, [pair for pair in enumerate("ab")], sorted({"x": 1, "y": 2}.items()))
print(died)
