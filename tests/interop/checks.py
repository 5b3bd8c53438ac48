"""One line per check, and an exit status that says whether all held."""

import contextlib
import sys


class Checks:
    def __init__(self, suite):
        self.suite = suite
        self.passed = 0
        self.failed = 0

    @contextlib.contextmanager
    def check(self, name):
        try:
            yield
        except Exception as error:
            self.failed += 1
            print(f"FAIL  {self.suite}: {name}: {type(error).__name__}: {error}", flush=True)
        else:
            self.passed += 1
            print(f"ok    {self.suite}: {name}", flush=True)

    def end(self):
        print(f"      {self.suite}: {self.passed} passed, {self.failed} failed", flush=True)
        # A suite that checked nothing has not passed.
        sys.exit(1 if self.failed or not self.passed else 0)


def same(found, expected):
    if found != expected:
        raise AssertionError(f"found {found!r}, expected {expected!r}")


def holds(condition, found):
    if not condition:
        raise AssertionError(f"found {found!r}")
