"""formats.py FOLDER...: lists arguments that do not fit the formats of PyErr_Format and its like.

A number read with the wrong size from variable arguments is wrong, and all after it. The compiler knows how to
check printf formats, so Python's functions are declared to be printf-like, and the conversions that
only Python has (%R, %.100S, ...) are rewritten as pointers after preprocessing. FOLDER is a meson build folder.

Not listed is what wasm32 reads rightly all the same: numbers of the same width, pointers to something else, arguments
too many. Not checked are the formats of PyArg_ParseTuple and Py_BuildValue, which are not printf's.
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
extern PyObject *PyBytes_FromFormat(const char *, ...) __attribute__((format(printf, 1, 2)));
extern int PyErr_WarnFormat(PyObject *, Py_ssize_t, const char *, ...) __attribute__((format(printf, 3, 4)));
extern void PyErr_FormatUnraisable(const char *, ...) __attribute__((format(printf, 1, 2)));
#ifdef __cplusplus
}
#endif
"""
QUIET = ["-fsyntax-only", "-Wno-everything", "-Wformat", "-fno-caret-diagnostics", "-fno-color-diagnostics"]

LITERAL = re.compile(r""""(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""")
CONVERSION = re.compile(r"%%|%[-#0 +]*[0-9]*(?:\.[0-9]+)?([RSUVATN])")

MISMATCH = re.compile(
    r"specifies type '(?P<wanted>[^']*)'(?: \(aka '(?P<wanted_is>[^']*)'\))?"
    r" but the argument has (?:underlying )?type '(?P<given>[^']*)'(?: \(aka '(?P<given_is>[^']*)'\))?"
)
# Bytes on wasm32, as passed: what is smaller than an int is passed as one.
WIDTHS = {"char": 4, "short": 4, "int": 4, "bool": 4, "_Bool": 4, "long": 4, "size_t": 4, "ssize_t": 4, "long long": 8, "double": "8 of a float"}


def pythons_own_as_pointers(text):
    """The preprocessed text with Python's own conversions, in string literals, made pointers. %V takes two."""

    def conversion(match):
        return match[0] if match[1] is None else {"V": "%p%p"}.get(match[1], "%p")

    return LITERAL.sub(lambda literal: CONVERSION.sub(conversion, literal[0]), text)


def width(name):
    if "*" in name or name.endswith("]"):
        return "pointer"
    return WIDTHS.get(re.sub(r"\b(?:un)?signed\b|\bconst\b", "", name).strip() or "int")


def harmless(line):
    if "not used by format" in line:
        return True
    found = MISMATCH.search(line)
    if found is None:
        return False
    wanted, given = (width(found[f"{side}_is"] or found[side]) for side in ("wanted", "given"))
    return wanted is not None and wanted == given


def ask_with(header):
    def ask(directory, command, source):
        command = [a for a in command if a not in ("-c", source)]
        text = subprocess.run(
            [command[0], "-include", header, *command[1:], "-E", source],
            cwd=directory, capture_output=True, text=True, check=True,
        ).stdout
        cxx = source.endswith((".cpp", ".cc"))
        rest = [f"clang{'++' if cxx else ''}-22"] + [a for a in command[1:] if not a.startswith("-include")]
        rest += ["--target=wasm32-wasip1", "-c", *QUIET, "-x", "c++-cpp-output" if cxx else "cpp-output", "-"]
        return rest, pythons_own_as_pointers(text)

    return ask


def main():
    with tempfile.NamedTemporaryFile("w", suffix=".h") as header:
        header.write(DECLARATIONS)
        header.flush()
        entries = [entry for folder in sys.argv[1:] for entry in from_meson(folder)]
        lines = diagnostics(entries, ask_with(header.name))
    lines = [line for line in lines if not harmless(line)]
    for line in lines:
        print(line)
    print(f"{len(entries)} files, {len(lines)} mismatches")
    sys.exit(len(lines) > 0)


main()
