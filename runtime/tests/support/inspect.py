# Looks at all that a run before this one could have changed. Two prints of it differ only if something was left behind.
import atexit, builtins, decimal, gc, hashlib, json, locale, logging, os, random, signal, sys, tempfile, threading, time, uuid, warnings

import numpy as np
import pandas as pd

import exuvia_guest
from exuvia_guest import ending, program, scheduler


def names(module):
    return hashlib.sha256(repr([(n, type(v).__name__, id(v)) for n, v in sorted(vars(module).items())]).encode()).hexdigest()


print("builtins", len(dir(builtins)), names(builtins))
print("modules", len(sys.modules), hashlib.sha256(repr(sorted(sys.modules)).encode()).hexdigest())
for module in (sys, os, json, random, exuvia_guest, ending, program, scheduler, decimal, np, pd):
    print(module.__name__, names(module))
print("globals", sorted(globals()))
print("files", os.listdir("/tmp"), os.listdir("/mnt/data"), os.getcwd(), os.listdir("/"))
print("environment", sorted(os.environ.items()), sys.argv, sys.path, sys.getrecursionlimit())
print("random", random.random(), np.random.rand(), uuid.uuid4(), os.urandom(8).hex(), np.random.default_rng().integers(1 << 40))
print("numpy", np.geterr(), np.get_printoptions()["precision"], pd.get_option("display.max_rows"))
print("state", decimal.getcontext(), locale.setlocale(locale.LC_ALL), signal.getsignal(2), logging.root.level, logging.root.handlers)
print("streams", sys.stdout.encoding, sys.stdout.closed, sys.stderr.fileno(), sys.stdin.read())
print("threads", threading.active_count(), atexit._ncallbacks(), len(warnings.filters), tempfile.mktemp(), gc.get_count(), gc.isenabled())
print("clock", time.time(), time.monotonic())
print("first descriptor", os.open("/dev/null", os.O_RDONLY), "address", id(object()))
print(pd.DataFrame({"kind": list("aab"), "n": [1, 2, 4]}).groupby("kind").n.sum().to_dict())
