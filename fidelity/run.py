#!/usr/bin/env python3
"""Runs CPython's, NumPy's and pandas' own tests in the sandbox and in a native CPython of the same version, and compares
them test by test.

    run.py                          all of suites.toml, then docs/fidelity.md
    run.py python:json numpy:core   some of it
    run.py --report                 docs/fidelity.md from the results that are there

It needs the work folder of `just python-wasm` (sources, the native CPython, the tests' packages), by --work or $W, and
keeps its results below --out. Differences are explained by causes.toml; one that is not makes the status 1.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
import zipfile

import report

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent
GUEST_ROOT = "/mnt/data/suites"
LINE = re.compile(rb"\x1e(\{.*\})\n")
MOST_STARTS = 100
NATIVE_MEMORY = 8 << 30
FAILURES = ("failed", "error", "crashed")
HUNG = "hung: said nothing for {} s"


def main():
    arguments = parse()
    suites = tomllib.loads((HERE / "suites.toml").read_text())
    arguments.out.mkdir(parents=True, exist_ok=True)
    if not arguments.report:
        prepare = Prepared(arguments)
        for suite, parts in suites.items():
            for part, modules in parts.items():
                if not arguments.parts or {suite, f"{suite}:{part}"} & set(arguments.parts):
                    for module in modules:
                        compare(prepare, suite, part, module, arguments)
    if arguments.report or not arguments.parts:
        causes = tomllib.loads((HERE / "causes.toml").read_text())["cause"]
        text, unexplained = report.make(suites, arguments.out, causes)
        (REPOSITORY / "docs" / "fidelity.md").write_text(text)
        if unexplained:
            sys.exit(f"{unexplained} differences that causes.toml does not explain: see docs/fidelity.md")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="SUITE[:PART]")
    parser.add_argument("--report", action="store_true", help="only write docs/fidelity.md")
    parser.add_argument("--again", choices=("all", "guest"), help="run what has a result already, on both sides or one")
    default = os.environ.get("W", REPOSITORY / "target" / "python-wasm")
    parser.add_argument("--work", type=pathlib.Path, default=default, help="the work folder of `just python-wasm`")
    parser.add_argument("--out", type=pathlib.Path, default=REPOSITORY / "target" / "fidelity")
    parser.add_argument("--runner", type=pathlib.Path, help="the built example `fidelity` of exuvia-runtime")
    parser.add_argument("--quiet", type=int, default=60, help="seconds without a word after which a test counts as hung")
    parser.add_argument("--seconds", type=int, default=1200, help="longest that a module may take, on each side")
    arguments = parser.parse_args()
    arguments.work, arguments.out = arguments.work.resolve(), arguments.out.resolve()
    arguments.runner = arguments.runner or REPOSITORY / "target" / "release" / "examples" / "fidelity"
    return arguments


class Prepared:
    """The folders of tests, and the native interpreter with NumPy and pandas from their wheels."""

    def __init__(self, arguments):
        work = arguments.work
        self.native = work / "native" / "python"
        self.roots = {name: arguments.out / "suites" / name for name in ("python", "numpy", "pandas")}
        self.site = arguments.out / "site"
        if not self.native.exists():
            sys.exit(f"there is no {self.native}: run `just python-wasm` first, or give its work folder by --work")
        self._python(work / "src" / "cpython-native" / "Lib" / "test")
        for name in ("numpy", "pandas"):
            self._package(name, work / "src" / name / name, work / "download" / "test")
        if not self.site.exists():
            self._site()
        # The first start compiles Python, for longer than a test may be silent.
        job = {"source": "", "inputs": {}, "folders": [], "seconds": 60, "memory": 1 << 30}
        subprocess.run([arguments.runner], input=json.dumps(job).encode(), stderr=subprocess.DEVNULL, check=True)

    def _python(self, tests):
        root = self.roots["python"]
        root.mkdir(parents=True, exist_ok=True)
        if not (root / "test").exists():
            (root / "test").symlink_to(tests)

    def _package(self, name, source, wheels):
        """The package's tests without the package, and pytest beside them."""
        root = self.roots[name]
        if root.exists():
            return
        for folder, _, files in os.walk(source):
            relative = pathlib.Path(folder).relative_to(source)
            for file in files:
                if "tests" in relative.parts or file == "conftest.py" or file == "_typing_tests.py":
                    target = root / name / relative / file
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(pathlib.Path(folder) / file, target)
        for wheel in wheels.glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(root)
        for file in ("pytest.ini", "pyproject.toml"):
            if (source.parent / file).exists() and not (root / "pytest.ini").exists():
                shutil.copyfile(source.parent / file, root / file)

    def _site(self):
        """NumPy and pandas as their registries give them, for the native interpreter."""
        pins = [HERE / "requirements.txt"]
        pins += [REPOSITORY / "python-wasm/build/sources" / f"pip-library{kind}.txt" for kind in ("", "-stripped")]
        command = [sys.executable, "-m", "pip", "install", "-q", "--target", self.site, "--no-deps", "--require-hashes"]
        command += ["--only-binary", ":all:", "--python-version", "3.13"]
        for file in pins:
            command += ["-r", file]
        subprocess.run(command, check=True)


def compare(prepared, suite, part, module, arguments):
    path = arguments.out / f"{suite}-{module}.json"
    had = json.loads(path.read_text()) if path.exists() else {}
    if had and not arguments.again:
        return
    kind = "unittest" if suite == "python" else "pytest"
    name = f"test.{module}" if suite == "python" else module
    began = time.time()
    if had and arguments.again == "guest":
        native = had["native"]
    else:
        native = until_done(lambda done, ends: run_native(prepared, suite, kind, name, done, ends, arguments), arguments)
    middle = time.time()
    guest = until_done(lambda done, ends: run_guest(prepared, suite, kind, name, done, ends, arguments), arguments)
    path.write_text(json.dumps({"native": native, "guest": guest}))
    fails = sum(outcome in FAILURES for outcome, _ in guest.values())
    print(
        f"{suite}:{part} {module}: {len(native)} tests natively in {middle - began:.0f} s,"
        f" {len(guest)} in the guest in {time.time() - middle:.0f} s, {fails} failures there",
        flush=True,
    )


def until_done(start, arguments):
    """Results by test: starts again after what killed a run, without the tests that are done."""
    results, found = {}, []
    ends = time.monotonic() + arguments.seconds
    for _ in range(MOST_STARTS):
        lines, whole, why = start(sorted(results), ends)
        begun, ended = None, 0
        for line in lines:
            if "found" in line:
                found = line["found"]
            elif "begun" in line:
                begun = line["begun"]
            elif "test" in line:
                begun, ended = None, ended + 1
                results[line["test"]] = [line["outcome"], line["detail"]]
        if whole:
            break
        if time.monotonic() >= ends:
            for test in found:
                results.setdefault(test, ["not reached", f"the module's {arguments.seconds} s were over"])
            break
        if begun is None and not ended:
            results["(the whole module)"] = ["crashed", why]
            break
        if begun is not None:
            results[begun] = ["crashed", why]
    stand_in(results, found)
    return results


HOLDER = re.compile(r"(?:setUpClass|setUpModule|tearDownClass|tearDownModule) \((.*)\)")


def stand_in(results, found):
    """A class whose set-up failed or was skipped reports that once: gives the same outcome to all its tests."""
    for name in list(results):
        holder = HOLDER.fullmatch(name)
        if holder:
            outcome = results.pop(name)
            for test in found:
                if test.startswith(holder[1] + "."):
                    results.setdefault(test, outcome)


def told(output):
    return [json.loads(line) for line in LINE.findall(output)]


def watch(command, given, ends, arguments, **options):
    """Runs the command: what it printed, its status (None if it was ended for being silent or late) and its last errors."""
    with tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as source:
        source.write(given)
        source.seek(0)
        process = subprocess.Popen(
            command, stdin=source, stdout=subprocess.PIPE, stderr=errors, start_new_session=True, **options
        )
        output, status = [], None
        while True:
            left = min(arguments.quiet, ends - time.monotonic())
            if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
                break
            piece = os.read(process.stdout.fileno(), 1 << 16)
            if not piece:
                status = process.wait()
                break
            output.append(piece)
        with contextlib.suppress(ProcessLookupError):
            # Its children, too.
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        errors.seek(0)
        return b"".join(output), status, errors.read().decode(errors="replace")[-4000:]


def run_native(prepared, suite, kind, module, done, ends, arguments):
    given = {"KIND": kind, "MODULE": module, "ROOT": str(prepared.roots[suite]), "DONE": done}
    path = arguments.out / "given.json"
    path.write_text(json.dumps(given))
    scratch = arguments.out / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": str(scratch), "LANG": "C.UTF-8", "TZ": "UTC", "TMPDIR": str(scratch)}
    environment["PYTHONPATH"] = str(prepared.site) if kind == "pytest" else ""
    command = [prepared.native, "-X", "utf8", HERE / "probe.py", path]
    output, status, errors = watch(
        command, b"", ends, arguments, cwd=scratch, env=environment, preexec_fn=as_from_a_terminal
    )
    lines = told(output)
    why = HUNG.format(arguments.quiet) if status is None else f"status {status}: {errors[-1500:]}"
    return lines, any("seconds" in line for line in lines), why


def as_from_a_terminal():
    """Tests interrupt themselves: a shell starts background jobs with that signal ignored. And none may eat the machine."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_AS, (NATIVE_MEMORY, NATIVE_MEMORY))


def run_guest(prepared, suite, kind, module, done, ends, arguments):
    job = {
        "source": (HERE / "probe.py").read_text(),
        "inputs": {"KIND": kind, "MODULE": module, "ROOT": GUEST_ROOT, "DONE": done},
        "folders": [[GUEST_ROOT, str(prepared.roots[suite])]],
        "seconds": arguments.seconds + arguments.quiet,
        "memory": 3 << 30,
    }
    output, status, errors = watch([arguments.runner], json.dumps(job).encode(), ends, arguments)
    lines = told(output)
    if status is None:
        why = HUNG.format(arguments.quiet)
    else:
        try:
            ending = json.loads(errors.strip().splitlines()[-1])
        except (ValueError, IndexError):
            sys.exit(f"the runner failed: {errors}")
        why = ending.get("why", ending["ended"])
    return lines, any("seconds" in line for line in lines), why


if __name__ == "__main__":
    main()
