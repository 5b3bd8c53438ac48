"""Answers `bench/table.py` as the measuring process of exuvia-runtime does, with this CPython itself."""

import contextlib
import io
import json
import sys

for line in sys.stdin:
    request = json.loads(line)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(request["source"], "program", "exec"), {"__name__": "__main__"})
    print(json.dumps({"stdout": printed.getvalue()}), flush=True)
