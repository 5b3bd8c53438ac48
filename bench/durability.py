#!/usr/bin/env python3
"""What journals cost, and how long a restart takes: `bench/durability.py target/release/exuvia-under-test [many]`.

The folder of the binary must have `upstream-for-tests`, too. `executeCode` keeps no journal and `asyncExecuteCode` does, so the
same script under both gives the cost.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

BINARY = os.path.abspath(sys.argv[1])
MANY = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
URL = "http://127.0.0.1:18787"

CALLS = "import time\nbegan = time.monotonic()\nfor n in range(100):\n    mcp_Plain_slow(ms=1)\ntime.monotonic() - began"
EFFECTS = "import time\nfor n in range({many}):\n    time.sleep(0)\n    mcp_Counts_look(key='x') if n % 10 == 0 else time.time()\n\
print('recorded', flush=True)\nwhile True:\n    time.sleep(0.02)\n    mcp_Counts_put(key='live')"


def ask(path, body=None, method=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    with urllib.request.urlopen(urllib.request.Request(URL + path, data, headers, method=method)) as answer:
        return json.load(answer)


def execute(script):
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "executeCode", "arguments": {"script": script}}}
    return ask("/mcp", call)["result"]["structuredContent"]


def submit(script):
    return ask("/v1/executions", {"script": script})["execution_uuid"]


def wait(uuid):
    while True:
        status = ask(f"/v1/executions/{uuid}?wait_seconds=30")
        if status["success"] is not None:
            return status


class Place:
    def __init__(self, folder):
        self.folder = folder
        upstream = os.path.join(os.path.dirname(BINARY), "upstream-for-tests")
        self.counts = f"{folder}/counts"
        servers = {"mcpServers": {"Plain": {"command": upstream}, "Counts": {"command": upstream, "env": {"COUNTS": self.counts}}}}
        self.write("mcp.json", json.dumps(servers))
        self.write("policy.json", '{"version": "1", "default": "allow"}')
        self.write("exuvia.toml", f"[executions]\nat_once = {MANY + 100}\nqueue = {MANY + 100}\n")

    def write(self, name, text):
        with open(f"{self.folder}/{name}", "w") as file:
            file.write(text)

    def start(self):
        """Seconds until it serves."""
        began = time.monotonic()
        flags = ["--config", "exuvia.toml", "--mcp-config", "mcp.json", "--policy", "policy.json", "--data", "data"]
        self.server = subprocess.Popen([BINARY, "serve", "--listen", URL.rpartition("/")[2], *flags], cwd=self.folder,
                                       stdout=subprocess.DEVNULL, env={**os.environ, "EXUVIA_LOG": "error"})
        while True:
            try:
                if ask("/healthz") is not None:
                    return time.monotonic() - began
            except OSError:
                time.sleep(0.005)

    def kill(self):
        self.server.kill()
        self.server.wait()

    def lines(self, text):
        with open(self.counts) as file:
            return sum(line.rstrip() == text for line in file)


def main():
    with tempfile.TemporaryDirectory() as folder:
        place = Place(folder)
        place.start()
        execute("mcp_Counts_look(key='warm')")
        execute("mcp_Plain_slow(ms=1)")
        plain, journaled = [], []
        for _ in range(15):
            plain.append(execute(CALLS)["result"])
            journaled.append(wait(submit(CALLS))["result"])
        plain, journaled = statistics.median(plain), statistics.median(journaled)
        print(f"100 calls of 1 ms: {plain * 1000:.1f} ms, journalled {journaled * 1000:.1f} ms, {journaled / plain - 1:+.1%}")

        uuid = submit(EFFECTS.format(many=MANY))
        while "recorded" not in ask(f"/v1/executions/{uuid}")["stdout"]:
            time.sleep(0.05)
        time.sleep(0.2)
        place.kill()
        before = place.lines("put live")
        began = time.monotonic()
        serving = place.start()
        while place.lines("put live") == before:
            time.sleep(0.005)
        print(f"{MANY} recorded effects: serving after {serving:.2f} s, the run is live after {time.monotonic() - began:.2f} s")
        ask(f"/v1/executions/{uuid}", method="DELETE")

        threads = [threading.Thread(target=lambda: [submit("import time\nprint('begun')\ntime.sleep(3600)") for _ in range(MANY // 8)])
                   for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        while ask("/v1/executions?status=pending&limit=1")["executions"]:
            time.sleep(0.2)
        place.kill()
        began = time.monotonic()
        serving = place.start()
        while ask("/v1/executions?status=pending&limit=1")["executions"]:
            time.sleep(0.1)
        print(f"{MANY // 8 * 8} unfinished executions: serving after {serving:.2f} s, all running after {time.monotonic() - began:.2f} s")
        place.kill()


if __name__ == "__main__":
    main()
