#!/usr/bin/env python3
"""Measures what docs/performance.md promises of the server, with wrk as the client, and prints it beside the targets.

    bench/server/run.py EXUVIA UPSTREAM     two binaries built with --release: `exuvia` and `upstream-for-tests`
"""

import http.client
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
SECONDS = 8


class Server:
    def __init__(self, exuvia, upstream):
        self.folder = tempfile.TemporaryDirectory()
        folder = pathlib.Path(self.folder.name)
        (folder / "mcp.json").write_text(json.dumps({"mcpServers": {"Math": {"command": str(upstream)}}}))
        (folder / "exuvia.toml").write_text("[upstream]\nparallel_calls = 2000\n")
        (folder / "policy.json").write_text(json.dumps({"version": "1", "default": "allow"}))
        self.process = subprocess.Popen(
            [exuvia, "serve", "--listen", "127.0.0.1:0", "--data", folder / "data", "--mcp-config", folder / "mcp.json",
             "--config", folder / "exuvia.toml", "--policy", folder / "policy.json"],
            stdout=subprocess.PIPE, text=True, env={**os.environ, "EXUVIA_LOG": "error"},
        )
        self.url = self.process.stdout.readline().split()[-1].removesuffix("/mcp")
        threading.Thread(target=self.process.stdout.read, daemon=True).start()
        self.connection = http.client.HTTPConnection(self.url.removeprefix("http://"))
        while self.tool("listTools")["servers"][0]["status"] != "ready":
            pass

    def ask(self, method, path, body=None):
        headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        self.connection.request(method, path, body and json.dumps(body), headers)
        return json.loads(self.connection.getresponse().read())

    def tool(self, tool, **arguments):
        params = {"name": tool, "arguments": arguments}
        answer = self.ask("POST", "/mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
        return answer["result"]["structuredContent"]

    def load(self, tool, clients, **arguments):
        """Requests per second, and the median and 99th percentile in ms."""
        params = {"name": tool, "arguments": arguments}
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
        command = ["wrk", "-t1", f"-c{clients}", f"-d{SECONDS}s", "--latency", "-s", HERE / "post.lua", self.url + "/mcp"]
        printed = subprocess.run(command, env={**os.environ, "BODY": body}, capture_output=True, text=True).stdout
        if "Non-2xx" in printed:
            sys.exit(printed)
        rate = float(re.search(r"Requests/sec:\s+([\d.]+)", printed)[1])
        return rate, milliseconds(printed, "50%"), milliseconds(printed, "99%")

    def memory(self):
        """Memory now, in MiB; what several runs share is counted once."""
        rollup = pathlib.Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        return int(re.search(r"Pss:\s+(\d+)", rollup)[1]) / 1024


def milliseconds(printed, percentile):
    number, unit = re.search(rf"{percentile}\s+([\d.]+)(us|ms|s)", printed).groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def bare_round_trip(upstream):
    """Median of a call of the same tool by a client that does nothing else, in µs."""
    process = subprocess.Popen([upstream], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "add", "arguments": {"a": 1, "b": 2}}}
    line = json.dumps(call).encode() + b"\n"
    times = []
    for _ in range(2000):
        began = time.perf_counter()
        process.stdin.write(line)
        process.stdin.flush()
        process.stdout.readline()
        times.append(time.perf_counter() - began)
    process.kill()
    return statistics.median(times) * 1e6


NESTED = """
import time, statistics
times = []
for _ in range(1000):
    began = time.perf_counter_ns()
    mcp_Math_add(a=1, b=2)
    times.append(time.perf_counter_ns() - began)
statistics.median(times) / 1000
"""


def main():
    exuvia, upstream = sys.argv[1:3]
    server = Server(exuvia, upstream)
    rows = []
    for _ in range(3000):
        server.tool("executeCode", script="print(1)")
    rate, median, tail = server.load("executeCode", 1, script="print(1)")
    rows.append(("executeCode print(1), one client, median (p99)", f"{median:.2f} ms ({tail:.2f})", "≤ 0.4 ms"))
    rate, median, tail = server.load("executeCode", 8, script="print(1)")
    rows.append(("executeCode per second, 8 clients", f"{rate:,.0f}", "≥ 8,000"))
    rate, median, tail = server.load("asyncExecuteCode", 1, script="1")
    rows.append(("asyncExecuteCode, one client, median", f"{median:.2f} ms", "≤ 1.5 ms"))
    rate, median, tail = server.load("asyncExecuteCode", 16, script="1")
    rows.append(("asyncExecuteCode per second, 16 clients", f"{rate:,.0f}", "≥ 2,000"))
    bare = bare_round_trip(upstream)
    nested = server.tool("executeCode", script=NESTED)["result"]
    rows.append(("a tool call from Python, above a bare client's", f"{nested - bare:.0f} µs ({nested:.0f} − {bare:.0f})", "≤ 300 µs"))
    rows.append(waiting(server))
    rows.append(spinning(server))
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors\n")
    for row in [("what", "here", "target"), ("---", "---", "---"), *rows]:
        print("| " + " | ".join(row) + " |")
    server.process.terminate()


def waiting(server):
    """1,000 executions that each wait 5 s in a tool."""
    began = time.perf_counter()
    uuids = [server.tool("asyncExecuteCode", script="mcp_Math_slow(ms=5000)")["execution_uuid"] for _ in range(1000)]
    # All of them wait now. Once: counting shared pages takes the kernel seconds.
    counting = time.perf_counter()
    most = server.memory()
    counting = time.perf_counter() - counting
    for uuid in uuids:
        while (status := server.tool("checkCodeExecStatus", execution_uuid=uuid, wait_seconds=1))["success"] is None:
            pass
        if not status["success"]:
            sys.exit(json.dumps(status))
    took = time.perf_counter() - began - counting
    return "1,000 executions of 5 s in a tool", f"{took:.1f} s, {most:,.0f} MiB", "≤ 15 s, ≤ 2 GiB"


def spinning(server):
    """How long a status takes while four programs compute."""
    uuids = [server.tool("asyncExecuteCode", script="while True: pass")["execution_uuid"] for _ in range(4)]
    time.sleep(1)
    _, median, tail = server.load("checkCodeExecStatus", 1, execution_uuid=uuids[0])
    for uuid in uuids:
        server.tool("cancelCodeExec", execution_uuid=uuid)
    return "checkCodeExecStatus beside four spinning programs, median (p99)", f"{median:.2f} ms ({tail:.2f})", "p99 ≤ 50 ms"


main()
