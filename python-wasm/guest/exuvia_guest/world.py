"""The surroundings a program finds: streams, environment, one processor, nobody at a terminal."""

import builtins
import io
import os
import sys

ENVIRONMENT = {
    "HOME": "/mnt/data",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "LOGNAME": "exuvia",
    "PATH": "",
    "PWD": "/mnt/data",
    "TMPDIR": "/tmp",
    "TZ": "UTC",
    "USER": "exuvia",
}


def install():
    _streams()
    os.environ.clear()
    os.environ.update(ENVIRONMENT)
    os.cpu_count = os.process_cpu_count = _one
    os.getlogin = _login
    sys.breakpointhook = _no_debugger
    builtins.input = input
    sys.argv = ["script.py"]


def _streams():
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    # Nobody types anything; the host need not be asked.
    sys.stdin = sys.__stdin__ = io.TextIOWrapper(io.BufferedReader(_Empty()), encoding="utf-8")


class _Empty(io.RawIOBase):
    """Standard input: at its end."""

    name = "<stdin>"
    mode = "r"

    def readable(self):
        return True

    def readinto(self, buffer):
        return 0

    def fileno(self):
        return 0

    def isatty(self):
        return False


def _one():
    """How many processors there are for this program."""
    return 1


def _login():
    return "exuvia"


_input = builtins.input


def input(prompt="", /):
    """Read a string from standard input, which is at its end unless the program has put another stream in its place."""
    own = getattr(sys, "stdin", None) is sys.__stdin__
    try:
        return _input(prompt)
    except EOFError:
        if not own:
            raise
    raise EOFError("EOF when reading a line: nobody can answer input() here; pass values as input_vars")


def _no_debugger(*args, **kwargs):
    raise RuntimeError("there is no debugger to attach here: print what you want to see")
