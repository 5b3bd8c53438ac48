"""Runs the programs of training/, each several times: what a profile is collected from."""

import importlib
import sys

PROGRAMS = ("objects", "functions", "containers", "text", "arithmetic", "data")
TIMES = 20

sys.path.insert(0, sys.argv[1])
for name in PROGRAMS:
    program = importlib.import_module(name)
    for _ in range(TIMES):
        program.run()
