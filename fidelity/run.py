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
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
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
    parser.add_argument("--seconds", type=int, default=120, help="longest one start may take; what is left is started anew")
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
        native = until_done(lambda done: run_native(prepared, suite, kind, name, done, arguments), arguments)
    middle = time.time()
    guest = until_done(lambda done: run_guest(prepared, suite, kind, name, done, arguments), arguments)
    path.write_text(json.dumps({"native": native, "guest": guest}))
    fails = sum(outcome in FAILURES for outcome, _ in guest.values())
    print(
        f"{suite}:{part} {module}: {len(native)} tests natively in {middle - began:.0f} s,"
        f" {len(guest)} in the guest in {time.time() - middle:.0f} s, {fails} failures there",
        flush=True,
    )


def until_done(start, arguments):
    """Results by test: starts again after what killed a run, without the tests that are done."""
    results, found = {}, None
    for _ in range(MOST_STARTS):
        lines, whole, why = start(sorted(results))
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
        if begun is None and not ended:
            results["(the whole module)"] = ["crashed", why]
            break
        if begun is not None and not (ended and "time limit" in why):
            results[begun] = ["crashed", why]
    stand_in(results, found or [])
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


def run_native(prepared, suite, kind, module, done, arguments):
    given = {"KIND": kind, "MODULE": module, "ROOT": str(prepared.roots[suite]), "DONE": done}
    path = arguments.out / "given.json"
    path.write_text(json.dumps(given))
    scratch = arguments.out / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": str(scratch), "LANG": "C.UTF-8", "TZ": "UTC", "TMPDIR": str(scratch)}
    environment["PYTHONPATH"] = str(prepared.site) if kind == "pytest" else ""
    command = [prepared.native, "-X", "utf8", HERE / "probe.py", path]
    try:
        ran = subprocess.run(
            command, cwd=scratch, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, timeout=arguments.seconds, preexec_fn=as_from_a_terminal,
        )
        output, why = ran.stdout, f"status {ran.returncode}: {ran.stderr.decode(errors='replace')[-1500:]}"
    except subprocess.TimeoutExpired as expired:
        output, why = expired.stdout or b"", "time limit"
    lines = told(output)
    return lines, any("seconds" in line for line in lines), why


def as_from_a_terminal():
    """Tests interrupt themselves: a shell starts background jobs with that signal ignored. And none may eat the machine."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_AS, (NATIVE_MEMORY, NATIVE_MEMORY))


def run_guest(prepared, suite, kind, module, done, arguments):
    job = {
        "source": (HERE / "probe.py").read_text(),
        "inputs": {"KIND": kind, "MODULE": module, "ROOT": GUEST_ROOT, "DONE": done},
        "folders": [[GUEST_ROOT, str(prepared.roots[suite])]],
        "seconds": arguments.seconds,
        "memory": 3 << 30,
    }
    ran = subprocess.run([arguments.runner], input=json.dumps(job).encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    lines = told(ran.stdout)
    try:
        ending = json.loads(ran.stderr.decode(errors="replace").strip().splitlines()[-1])
    except (ValueError, IndexError):
        sys.exit(f"the runner failed: {ran.stderr.decode(errors='replace')}")
    return lines, any("seconds" in line for line in lines), ending.get("why", ending["ended"])


if __name__ == "__main__":
    main()
