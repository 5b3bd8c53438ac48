"""formats.py FOLDER: lists arguments that do not fit the formats of PyErr_Format and its like.

A number read with the wrong size from variable arguments is wrong, and all after it. The compiler knows how to
check printf formats, so Python's functions are declared to be printf-like, and the conversions that
only Python has (%R, %S, ...) are rewritten as pointers after preprocessing. FOLDER is a meson build folder.
"""

import re
import subprocess
import sys
import tempfile

from compile_db import diagnostics, from_meson

DECLARATIONS = """
#include <Python.h>
#ifdef __cplusplus
extern "C" {
#endif
extern PyObject *PyErr_Format(PyObject *, const char *, ...) __attribute__((format(printf, 2, 3)));
extern PyObject *PyUnicode_FromFormat(const char *, ...) __attribute__((format(printf, 1, 2)));
extern int PyErr_WarnFormat(PyObject *, Py_ssize_t, const char *, ...) __attribute__((format(printf, 3, 4)));
#ifdef __cplusplus
}
#endif
"""
QUIET = ["-fsyntax-only", "-Wno-everything", "-Wformat", "-fno-caret-diagnostics", "-fno-color-diagnostics"]
# A pointer where Python expects an object is as wide as any; a surplus argument is not read.
HARMLESS = re.compile(r"void \*|PyObject \*|not used by format|conversion specifier|'int' but the argument has type 'Py_ssize_t'")


def main():
    with tempfile.NamedTemporaryFile("w", suffix=".h") as header:
        header.write(DECLARATIONS)
        header.flush()

        def ask(directory, command, source):
            command = [a for a in command if a not in ("-c", source)]
            text = subprocess.run(
                [command[0], "-include", header.name, *command[1:], "-E", source],
                cwd=directory, capture_output=True, text=True, check=True,
            ).stdout
            text = re.sub(r"%[RSUVATN](?![a-z])", "%p", text)
            cxx = source.endswith((".cpp", ".cc")) or ".cpp" in source
            rest = [f"clang{'++' if cxx else ''}-22"] + [a for a in command[1:] if not a.startswith("-include")]
            rest += ["--target=wasm32-wasip1", "-c", *QUIET, "-x", "c++-cpp-output" if cxx else "cpp-output", "-"]
            return rest, text

        lines = diagnostics(list(from_meson(sys.argv[1])), ask)
    lines = [line for line in lines if not HARMLESS.search(line)]
    for line in lines:
        print(line)
    print(f"{len(lines)} mismatches")


main()
