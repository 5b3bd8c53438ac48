"""Runs one test module and tells what became of each test: a line of JSON for each, marked so that it can be told from
what the tests print. Runs unchanged in the sandbox and in a native CPython.

Told by its inputs: `KIND` ("unittest" or "pytest"), `MODULE`, `ROOT` (the folder of the suites), `DONE` (tests to leave
out, for a run that goes on after a crash).
"""

import json
import os
import sys
import time
import traceback
import unittest

MARK = "\x1e"
DETAIL_KEPT = 1500


def tell(**fields):
    line = f"{MARK}{json.dumps(fields)}\n".encode()
    while line:
        line = line[os.write(1, line) :]


class Result(unittest.TestResult):
    """Tells of each test as it ends; a test's failed subtests are its own failures."""

    def startTest(self, test):
        super().startTest(test)
        self.outcome, self.detail = "passed", ""
        tell(begun=test.id())

    def stopTest(self, test):
        super().stopTest(test)
        tell(test=test.id(), outcome=self.outcome, detail=self.detail[-DETAIL_KEPT:])

    def _note(self, test, outcome, detail):
        if isinstance(test, unittest.suite._ErrorHolder):
            # A class's or module's own set-up: stands for all its tests.
            tell(test=test.id(), outcome=outcome, detail=detail[-DETAIL_KEPT:])
        elif self.outcome in ("passed", "skipped"):
            self.outcome, self.detail = outcome, detail

    def addError(self, test, error):
        self._note(test, "error", "".join(traceback.format_exception(*error)))

    def addFailure(self, test, error):
        self._note(test, "failed", "".join(traceback.format_exception(*error)))

    def addSubTest(self, test, subtest, error):
        if error is not None:
            kind = "failed" if issubclass(error[0], test.failureException) else "error"
            self._note(test, kind, "".join(traceback.format_exception(*error)))

    def addSkip(self, test, reason):
        self._note(test, "skipped", reason)

    def addExpectedFailure(self, test, error):
        self._note(test, "xfailed", "")

    def addUnexpectedSuccess(self, test):
        self._note(test, "failed", "unexpected success")


def tests_of(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from tests_of(test)
        else:
            yield test


def run_unittest(module, done):
    from test import support

    # As `python -m test` without -u: nothing from the network, nothing that takes long.
    support.use_resources = []
    if sys.platform == "wasi":
        believe_in_threads(support)
    import importlib

    try:
        suite = unittest.defaultTestLoader.loadTestsFromModule(importlib.import_module(module))
    except unittest.SkipTest as skip:
        tell(test=module, outcome="skipped", detail=str(skip))
        return
    except BaseException:
        tell(test=module, outcome="error", detail=traceback.format_exc()[-DETAIL_KEPT:])
        return
    tests = list(tests_of(suite))
    tell(found=[test.id() for test in tests])
    kept = unittest.TestSuite(test for test in tests if test.id() not in done)
    kept.run(Result())


def believe_in_threads(support):
    """CPython's tests take it that no WASI has threads or an event loop, and skip whole modules. This one has both."""
    from test.support import threading_helper

    threading_helper.can_start_thread = True
    needs_sockets = support.requires_working_socket
    support.requires_working_socket = lambda *, module=False: None if module else needs_sockets()


class Plugin:
    """The same for pytest."""

    def __init__(self, done):
        self.done = done

    def pytest_collection_modifyitems(self, items):
        tell(found=[item.nodeid for item in items])
        items[:] = [item for item in items if item.nodeid not in self.done]

    def pytest_collectreport(self, report):
        if report.failed:
            tell(test=report.nodeid, outcome="error", detail=str(report.longrepr)[-DETAIL_KEPT:])
        elif report.skipped:
            tell(test=report.nodeid, outcome="skipped", detail=str(report.longrepr[-1]))

    def pytest_runtest_logstart(self, nodeid):
        tell(begun=nodeid)

    def pytest_runtest_logreport(self, report):
        outcome = report.outcome
        if hasattr(report, "wasxfail"):
            outcome = "xfailed" if outcome == "skipped" else outcome
        elif outcome == "failed" and report.when != "call":
            outcome = "error"
        if report.when == "call" or outcome not in ("passed",):
            detail = "" if outcome in ("passed", "xfailed") else report.longrepr
            if outcome == "skipped" and isinstance(detail, tuple):
                detail = detail[-1]
            tell(test=report.nodeid, outcome=outcome, detail=str(detail)[-DETAIL_KEPT:])


def run_pytest(module, done, root):
    import importlib

    import pytest

    if sys.platform == "wasi":
        stand_in_for_c(pytest)
    # The packages are in the library without their tests, which lie below `root`.
    for folder in sorted({os.path.dirname(name) for name in python_files(root)}):
        package = os.path.relpath(folder, root).replace(os.sep, ".")
        head = package.partition(".")[0]
        if head in ("numpy", "pandas") and "tests" not in package.split("."):
            importlib.import_module(package).__path__.append(folder)
    path = os.path.join(root, *module.split("."))
    path = path if os.path.isdir(path) else f"{path}.py"
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:faulthandler", "-s", "--tb=short"]
    # The suites are older than this pytest.
    options += ["-W", "ignore::pytest.PytestRemovedIn10Warning", "--continue-on-collection-errors"]
    options += ["--import-mode=importlib", f"--rootdir={root}", "-c", configuration(root)]
    os.chdir(root)
    # Only what the suites ask for: plugins of packages that happen to be there would be found by themselves.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    status = pytest.main([*options, os.path.relpath(path, root)], plugins=[Plugin(done)])
    if status not in (0, 1, 5):
        raise RuntimeError(f"pytest ended with status {status!r}")


def stand_in_for_c(pytest):
    """NumPy's C modules that only its tests use are not shipped: a test that calls into one skips itself."""
    from types import ModuleType

    def get(name):
        if name.startswith("__"):
            raise AttributeError(name)
        if name == "get_fpu_mode":
            # Asked for before and after each test: it must not change.
            return lambda: 0
        return lambda *_, **__: pytest.skip("needs a C module that only NumPy's tests use, which is not shipped")

    for name in ("_multiarray_tests", "_umath_tests", "_rational_tests", "_operand_flag_tests", "_struct_ufunc_tests"):
        module = sys.modules[f"numpy._core.{name}"] = ModuleType(f"numpy._core.{name}")
        module.__getattr__ = get


def configuration(root):
    """NumPy's or pandas' own."""
    names = ("pytest.ini", "pyproject.toml")
    return next(path for path in (os.path.join(root, name) for name in names) if os.path.exists(path))


def python_files(root):
    for folder, folders, files in os.walk(root):
        folders.sort()
        for name in files:
            if name.endswith(".py"):
                yield os.path.join(folder, name)


def main(given):
    sys.path.insert(0, given["ROOT"])
    sys.dont_write_bytecode = True
    began = time.time()
    done = set(given["DONE"])
    if given["KIND"] == "unittest":
        run_unittest(given["MODULE"], done)
    else:
        run_pytest(given["MODULE"], done, given["ROOT"])
    tell(seconds=time.time() - began)


if __name__ == "__main__":
    main(globals().get("input_vars") or json.load(open(sys.argv[1])))
