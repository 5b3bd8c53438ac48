# Puts a secret wherever a later run might find it.
import atexit, builtins, contextvars, decimal, functools, gc, json, logging, os, random, sys, tempfile, threading, time, types, warnings

import numpy as np
import pandas as pd

# Written so that this source does not contain it.
SECRET = "".join(["tr", "ea", "su", "re", "-", "7391"])

left = SECRET
builtins.left = SECRET
sys.left = SECRET
sys.modules["left"] = types.ModuleType(SECRET)
sys.path.append("/tmp/" + SECRET)
os.environ["LEFT"] = SECRET
json.left = SECRET
json.dumps = lambda *_: SECRET
pd.left = SECRET
pd.set_option("display.max_rows", 7391)
np.random.seed(7391)
np.set_printoptions(precision=3)
np.seterr(all="raise")
random.seed(7391)
decimal.getcontext().prec = 73
logging.getLogger("left").addHandler(logging.NullHandler())
logging.getLogger().setLevel(73)
warnings.simplefilter("error")
threading.local().left = SECRET
contextvars.ContextVar("left").set(SECRET)
gc.callbacks.append(lambda *_: None)
gc.disable()
sys.setrecursionlimit(7391)
sys.setswitchinterval(0.5)
type("Left", (Exception,), {"left": SECRET})
tempfile.tempdir = "/tmp/" + SECRET
for folder in ("/tmp", "/mnt/data"):
    with open(f"{folder}/{SECRET}", "w") as file:
        file.write(SECRET)
opened = os.open("/tmp/" + SECRET, os.O_RDONLY)
os.mkdir("/tmp/folder")
os.chdir("/tmp/folder")


@functools.lru_cache
def cached(text):
    return text + SECRET


cached("x")
heap = [SECRET.encode() * 100 for _ in range(2000)]
array = np.frombuffer(SECRET.encode() * 10_000, dtype=np.uint8).copy()
del heap, array, file
os.getcwd = lambda: SECRET
print("left")
