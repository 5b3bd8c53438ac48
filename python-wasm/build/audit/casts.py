"""casts.py FOLDER | casts.py LOG FOLDER: lists casts between function types that wasm tells apart.

FOLDER is a meson build folder; with LOG, a make build and what it printed. The compiler's own warning
(-Wcast-function-type-mismatch) is asked for, and the casts that cannot do harm are taken out: those to a
function of no parameters, which are casts to "any function" and are cast back before a call.
"""

import sys

from compile_db import diagnostics, from_log, from_meson

QUIET = ["-fsyntax-only", "-Wno-everything", "-Wcast-function-type-mismatch", "-fno-caret-diagnostics", "-fno-color-diagnostics"]


def main():
    entries = from_meson(sys.argv[1]) if len(sys.argv) == 2 else from_log(sys.argv[1], sys.argv[2])
    lines = diagnostics(list(entries), lambda directory, command, source: (command + QUIET, None))
    for line in lines:
        print(line)
    print(f"{len(lines)} casts")


main()
