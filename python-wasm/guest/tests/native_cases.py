"""Runs the cases marked `"native": true` under this very CPython, to see that the expected outcome is CPython's own.

    python3.13 python-wasm/guest/tests/native_cases.py
"""

import json
import pathlib
import subprocess
import sys
import tempfile

from outcome_check import differences

CASES = pathlib.Path(__file__).resolve().parents[3] / "runtime" / "cases"


def run(source):
    """(outcome, stdout, stderr) as far as a plain CPython shows them."""
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "script.py").write_text(source)
        done = subprocess.run([sys.executable, "script.py"], cwd=folder, capture_output=True, text=True, timeout=60)
    outcome, stderr = {}, done.stderr.replace(folder + "/", "")
    if done.returncode:
        last = stderr.rstrip().splitlines()[-1]
        kind, _, message = last.lstrip(" |").partition(": ")
        outcome["error"] = {"type": kind, "message": message, "traceback": stderr}
        stderr = ""
    return outcome, done.stdout, stderr


def main():
    failed = count = 0
    for path in sorted(CASES.glob("*.json")):
        expected = json.loads(path.read_text())
        if not expected.get("native"):
            continue
        count += 1
        # The line and the last line of a group's traceback have no plain form in what CPython prints.
        error = expected.get("error", {})
        error.pop("line", None)
        if error.get("type") == "ExceptionGroup":
            del error["type"], error["message"]
        found = differences(expected, *run(path.with_suffix(".py").read_text()))
        if found:
            failed += 1
            print(path.stem, *found, sep="\n  ")
    print(f"{count - failed} of {count} cases are as under CPython {sys.version.split()[0]}")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
