#!/usr/bin/env python3
"""What packages cost a call: the first time, and from the second on, beside the same call without.

usage: bench/packages.py EXUVIA [PACKAGE…]    (the binary; humanize and rich by default; needs uv and an index)
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROUNDS = 200


def call(url, arguments):
    """Milliseconds of one executeCode, and its answer."""
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "executeCode", "arguments": arguments}}
    headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    began = time.perf_counter()
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        answer = json.load(answer)
    took = (time.perf_counter() - began) * 1e3
    result = answer["result"]
    if result.get("isError"):
        raise SystemExit(result["content"][0]["text"])
    return took


def median(url, arguments):
    return statistics.median(call(url, arguments) for _ in range(ROUNDS))


def main():
    binary, *packages = sys.argv[1:]
    packages = packages or ["humanize", "rich"]
    with tempfile.TemporaryDirectory() as folder:
        policy = os.path.join(folder, "policy.json")
        # Whatever they need, too: this measures, and decides nothing.
        allow = packages + os.environ.get("ALLOW", "markdown-it-py mdurl pygments").split()
        with open(policy, "w") as file:
            json.dump({"version": "1", "default": "allow", "x-sandbox": {"packages": {"allow": allow}}}, file)
        command = [binary, "serve", "--listen", "127.0.0.1:0", "--data", os.path.join(folder, "data"), "--policy", policy]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "EXUVIA_LOG": "error"})
        try:
            url = server.stdout.readline().split()[-1]
            call(url, {"script": "1"})
            print("| call | first ms | median ms | more than without, ms |\n|---|---|---|---|")
            without = median(url, {"script": "1"})
            print(f"| without | | {without:.2f} | |")
            for package in packages:
                for script in ("1", f"import {package.replace('-', '_')}"):
                    arguments = {"script": script, "additional_imports": [package]}
                    first = call(url, arguments)
                    again = median(url, arguments)
                    print(f"| `{package}`, `{script}` | {first:.1f} | {again:.2f} | {again - without:.2f} |")
        finally:
            server.terminate()
            server.wait()


main()
