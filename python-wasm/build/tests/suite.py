#!/usr/bin/env python3
"""suite.py ROOT MODULE...: runs pytest modules in python-command.wasm, each in an instance of its own, and counts.

ROOT is $W/tests-root. A MODULE is a path below site-packages, e.g. numpy/_core/tests/test_numeric.py.
"""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

W = os.environ["W"]
RUN = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "tools", "wasirun.py")
# No subprocesses, no descriptors to capture, no cache to write.
PYTEST = ["-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", "-p", "no:faulthandler", "--capture=sys", "-rfE", "-p", "wasi_plugin"]


def run(root, module):
    name = module.replace("/", ".").removesuffix(".py")
    log = f"{W}/log/suite.{name}.log"
    path = f"/lib/python3.13/site-packages/{module}"
    command = [f"{W}/venv/bin/python3", RUN, "--dir", f"{root}::/", "--env", "PYTHONHOME=/", "--env", "HOME=/tmp"]
    command += ["--env", "PYTHONDONTWRITEBYTECODE=1", "--env", "TZ=UTC"]
    command += ["--dir", f"{os.path.dirname(os.path.realpath(__file__))}::/plugins", "--env", "PYTHONPATH=/plugins"]
    command += [os.environ.get("COMMAND", f"{W}/python-command.wasm"), "-X", "utf8", *PYTEST, path]
    with open(log, "w") as file:
        code = subprocess.call(command, stdout=file, stderr=subprocess.STDOUT)
    with open(log, errors="replace") as file:
        text = file.read()
    counts = {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|skipped|error|errors|xfailed)", text[-400:])}
    return module, code, counts


def main():
    root, *modules = sys.argv[1:]
    with ThreadPoolExecutor(int(os.environ.get("J", 2))) as pool:
        for module, code, counts in pool.map(lambda m: run(root, m), modules):
            summary = ", ".join(f"{n} {word}" for word, n in counts.items()) or f"no result (status {code})"
            print(f"{module}: {summary}", flush=True)


main()
