"""The program cases of runtime/cases, those that need neither the image's packages nor its files, under the fake host."""

import json
import pathlib
import unittest

from outcome_check import differences
from booted import GUEST, host, run_apart

CASES = pathlib.Path(GUEST).parent.parent / "runtime" / "cases"
PACKAGES = ("numpy", "pandas", "matplotlib", "bs4", "anyio", "yaml")
# What differs on a machine of 64 bits with a real file system.
ONLY_IN_THE_SANDBOX = {"world_folders", "world_limits_of_ints", "files_outside", "error_memory", "error_recursion_in_c"}


def echo(message):
    return 0, message["args"]


def slow(message):
    return message["args"]["seconds"], message["args"]


def fail(message):
    return 0, {"error": {"type": "ToolError", "message": "no luck"}}


class Cases(unittest.TestCase):
    def test_cases(self):
        host.tools.update(echo=echo, slow=slow, fail=fail)
        ran = 0
        for path in sorted(CASES.glob("*.py")):
            source = path.read_text()
            if path.stem in ONLY_IN_THE_SANDBOX or any(name in source for name in PACKAGES):
                continue
            expected = json.loads(path.with_suffix(".json").read_text())
            parameters = {}
            if "inputs" in expected:
                parameters["inputs"] = expected["inputs"]
            if "outputs_wanted" in expected:
                parameters["outputs"] = expected["outputs_wanted"]
            with self.subTest(path.stem):
                self.assertEqual([], differences(expected, *run_apart(source, **parameters)))
            ran += 1
        self.assertGreater(ran, 90)
