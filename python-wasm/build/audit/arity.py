"""arity.py FOLDER...: finds C functions in method tables with another number of parameters than they are called with.

A PyMethodDef says in its flags how the function is called, and a cast hides what it is. Native machines pass
missing arguments as rubbish and drop surplus ones; wasm traps. This reads the source text: it finds every
entry `{"name", function, METH_...}`, then the function's definition, and counts its parameters.
"""

import glob
import os
import re
import sys

ENTRY = re.compile(
    r'\{\s*"(\w+)"\s*,\s*((?:\([^()]*(?:\([^()]*\)[^()]*)*\)\s*)*)&?\s*(\w+)\s*,\s*((?:\(?(?:__Pyx_)?METH_\w+\)?\s*\|?\s*)+)'
)
# How Cython declares a function that takes an array of arguments.
CYTHON = re.compile(r"#if CYTHON_VECTORCALL\n(.*?)#else\n.*?#endif\n?", re.S)
MODIFIERS = {"METH_STATIC", "METH_CLASS", "METH_COEXIST"}
SUFFIXES = ("c", "cpp", "h", "src", "inc")


def parameters_wanted(flags):
    flags = set(re.sub(r"[\s()]|__Pyx_", "", flags).strip("|").split("|")) - MODIFIERS
    if "METH_METHOD" in flags:
        return 5
    if "METH_FASTCALL" in flags:
        return 4 if "METH_KEYWORDS" in flags else 3
    return 3 if "METH_KEYWORDS" in flags else 2


DEFINITION = re.compile(r"(?:^|[\s*])(\w+)\s*\(([^;{}]*?)\)\s*\{")


def definitions(text):
    """The parameters of each function that the text defines."""
    found = {}
    for function, parameters in DEFINITION.findall(text):
        found.setdefault(function, parameters)
    return found


def count(parameters):
    parameters = re.sub(r"/\*.*?\*/", "", parameters, flags=re.S)
    parameters = re.sub(r"\([^()]*\)", "", parameters)
    return 0 if parameters.strip() in ("", "void") else parameters.count(",") + 1


def main():
    entries = faults = unresolved = 0
    for root in sys.argv[1:]:
        paths = [p for s in SUFFIXES for p in sorted(glob.glob(f"{root}/**/*.{s}", recursive=True)) if os.path.isfile(p)]
        texts = {}
        for path in paths:
            with open(path, errors="replace") as file:
                texts[path] = CYTHON.sub(r"\1", file.read())
        defined = {path: definitions(text) for path, text in texts.items()}
        everywhere = {f: p for local in reversed(defined.values()) for f, p in local.items()}
        for path, text in texts.items():
            for name, _, function, flags in ENTRY.findall(text):
                entries += 1
                found = defined[path].get(function, everywhere.get(function))
                if found is None:
                    unresolved += 1
                elif count(found) != parameters_wanted(flags):
                    faults += 1
                    print(f"{path}: {name}: {function} has {count(found)}, {flags.strip()} passes {parameters_wanted(flags)}")
    print(f"{entries} entries, {unresolved} whose function is not in the text, {faults} faults")
    sys.exit(faults > 0)


main()
