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


# CPython's C modules that only its tests use.
OF_TESTS = ("_testcapi", "_testinternalcapi", "_testlimitedcapi", "_testbuffer", "_testmultiphase", "_testsinglephase")
NOT_SHIPPED = "needs a C module that only tests use, which is not shipped"


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
        if sys.platform == "wasi" and isinstance(error[1], ModuleNotFoundError) and error[1].name in OF_TESTS:
            self._note(test, "skipped", NOT_SHIPPED)
        else:
            self._note(test, "error", "".join(traceback.format_exception(*error)))

    def addFailure(self, test, error):
        self._note(test, "failed", "".join(traceback.format_exception(*error)))

    def addSubTest(self, test, subtest, error):
        if error is not None and issubclass(error[0], test.failureException):
            self.addFailure(test, error)
        elif error is not None:
            self.addError(test, error)

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
        # Asked of a C module that only tests use; it is so.
        support.has_no_debug_ranges = lambda: False

    try:
        suite = unittest.defaultTestLoader.loadTestsFromModule(imported(module))
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


def imported(module):
    """The module. One that skips itself whole for want of a C module gets a stand-in, so that only the tests that
    call into it skip themselves."""
    import importlib

    for _ in OF_TESTS:
        try:
            return importlib.import_module(module)
        except unittest.SkipTest as skip:
            missing = next((name for name in OF_TESTS if name in str(skip)), None)
            if sys.platform != "wasi" or missing is None or missing in sys.modules:
                raise
            stand_in(missing, unittest.SkipTest)
    return importlib.import_module(module)


def stand_in(name, skip):
    """Puts a module there, of whose members every use raises `skip`."""
    import types

    def member(attribute):
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        return Absent(attribute, skip)

    module = sys.modules[name] = types.ModuleType(name)
    module.__getattr__ = member
    return module


class Absent:
    """What such a module would have. It has a name, as the names of parametrised tests are made from it."""

    def __init__(self, name, skip):
        self.__name__ = name
        self._skip = skip

    def __call__(self, *_, **__):
        self._used()
        return self

    @property
    def dtype(self):
        """NumPy asks for it where a data type is wanted."""
        import numpy

        self._used()
        return numpy.dtype(object)

    def __getattr__(self, name):
        if not name.startswith("_"):
            self._used()
        raise AttributeError(name)

    def __reduce__(self):
        self._used()
        return super().__reduce__()

    def _used(self):
        # While pytest collects, it would skip the module whole.
        if "pytest" not in sys.modules or "PYTEST_CURRENT_TEST" in os.environ:
            raise self._skip(NOT_SHIPPED)


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
        import _pytest.tmpdir

        stand_in_for_c(pytest)
        # There are no users whose folders would have to be told apart; pytest knows that of other platforms only.
        _pytest.tmpdir.get_user_id = lambda: None
    # The packages are in the library without their tests, which lie below `root`.
    for folder in sorted({os.path.dirname(name) for name in python_files(root)}):
        package = os.path.relpath(folder, root).replace(os.sep, ".")
        head = package.partition(".")[0]
        if head in ("numpy", "pandas") and "tests" not in package.split("."):
            importlib.import_module(package).__path__.append(folder)
    path = os.path.join(root, *module.split("."))
    path = path if os.path.isdir(path) else f"{path}.py"
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:faulthandler", "-s", "--tb=short", "--no-showlocals"]
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
    for name in ("_multiarray_tests", "_umath_tests", "_rational_tests", "_operand_flag_tests", "_struct_ufunc_tests"):
        stand_in(f"numpy._core.{name}", pytest.skip.Exception)
    # Asked for before and after each test: it must not change.
    sys.modules["numpy._core._multiarray_tests"].get_fpu_mode = lambda: 0


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
