# Looks for the secret of leave.py. One line for each place.
import builtins, ctypes, decimal, gc, json, logging, os, random, sys, tempfile, types, warnings

import numpy as np
import pandas as pd

PARTS = ["tr", "ea", "su", "re", "-", "7391"]


def say(place, found):
    print(place, "there" if found else "not there")


say("global", "left" in globals())
say("builtin", hasattr(builtins, "left"))
say("module attribute", hasattr(sys, "left") or hasattr(json, "left") or hasattr(pd, "left"))
say("module", "left" in sys.modules)
say("path", any("7391" in entry for entry in sys.path))
say("environment", "LEFT" in os.environ)
say("patched function", not isinstance(json.dumps, types.FunctionType) or json.dumps.__name__ != "dumps")
say("option", pd.get_option("display.max_rows") == 7391)
say("random", random.random() == random.Random(7391).random())
say("numpy", np.random.rand() == np.random.RandomState(7391).rand())
say("print options", np.get_printoptions()["precision"] == 3 or np.geterr()["divide"] == "raise")
say("decimal", decimal.getcontext().prec == 73)
say("logging", "left" in logging.root.manager.loggerDict or logging.root.level == 73)
say("warnings", warnings.filters[0][0] == "error")
say("collector", len(gc.callbacks) > 0 or not gc.isenabled())
say("interpreter", sys.getrecursionlimit() == 7391 or sys.getswitchinterval() == 0.5)
say("class", any(kind.__name__ == "Left" for kind in Exception.__subclasses__()))
say("temporary folder", bool(tempfile.tempdir))
say("files", any(len(entries) for entries in (os.listdir("/tmp"), os.listdir("/mnt/data"))))
say("descriptor", os.open("/dev/null", os.O_RDONLY) != 4)
say("working folder", os.path.realpath(".") != "/mnt/data")
say("objects", any(isinstance(one, str) and one.startswith("treas") and one.endswith("7391") for one in gc.get_objects()) or any("".join(PARTS) in str(vars(one)) for one in list(sys.modules.values()) if type(one) is types.ModuleType and one.__name__ not in ("__main__",)))


def scan():
    # All of linear memory, a page at a time; made so that the search itself leaves no copy.
    first, rest = b"tre", b"asure-7391"
    address, found = 0, 0
    while address < 80 << 20:
        page = ctypes.string_at(address, 65536 + 16)
        place = page.find(rest)
        while place >= 0:
            if page[place - 3 : place] == first:
                found += 1
            place = page.find(rest, place + 1)
        address += 65536
    return found


say("memory", scan())
