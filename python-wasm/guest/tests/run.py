"""Runs the tests of the guest package under a native CPython 3.13, with a fake host on a virtual clock.

    python3.13 -S python-wasm/guest/tests/run.py [unittest arguments]

The guest is booted before `unittest` is imported: it replaces what `threading` is made of.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import booted  # noqa: E402

arguments = sys.argv[1:]
booted.start()

import unittest  # noqa: E402  (after the boot, on purpose)

program = unittest.TestProgram(
    module=None, argv=["run.py", "discover", "-s", booted.HERE, *arguments], exit=False, warnings=False
)
sys.__stdout__.flush()
sys.__stderr__.flush()
booted.leave(not program.result.wasSuccessful())
