"""Answers `bench/table.py` with pyeryx: a new sandbox for each run, as its documentation says for isolation."""

import json
import sys
import time

import eryx

for line in sys.stdin:
    request = json.loads(line)
    times = []
    for _ in range(request.get("rounds", 1)):
        began = time.perf_counter_ns()
        limits = eryx.ResourceLimits(execution_timeout_ms=600_000)
        result = eryx.Sandbox(resource_limits=limits).execute(request["source"])
        times.append(time.perf_counter_ns() - began)
    print(json.dumps({"ns": times, "stdout": result.stdout_text}), flush=True)
