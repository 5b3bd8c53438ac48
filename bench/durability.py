#!/usr/bin/env python3
"""What journals cost, how long a restart takes, and how long a session takes to come back from the disk.

    bench/durability.py EXUVIA UPSTREAM [MANY]     two binaries built with --release: `exuvia` and `upstream-for-tests`

`executeCode` keeps no journal and `asyncExecuteCode` does, so the same script under both gives the cost. A session's call says when its program
began: later than one without a session by what it takes to bring the state back.
"""

import concurrent.futures
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

# A server that takes longer than this to do what it is asked is taken for broken.
PATIENCE = 120

CALLS = "import time\nbegan = time.monotonic()\nfor n in range(100):\n    mcp_Plain_slow(ms=1)\ntime.monotonic() - began"
EFFECTS = "import time\nfor n in range({many}):\n    time.sleep(0)\n    mcp_Counts_look(key='x') if n % 10 == 0 else time.time()\n\
print('recorded', flush=True)\nwhile True:\n    time.sleep(0.02)\n    try:\n        mcp_Counts_put(key='live')\n    except ToolInDoubt:\n        pass"

BEGAN = "import time\ntime.time()"
SMALL = "numbers = list(range(100))"
FRAME = "import numpy as np, pandas as pd\nframe = pd.DataFrame(np.random.default_rng(1).random((1_050_000, 6)), copy=False)\nint(frame.memory_usage().sum())"
ROUNDS = 15


class Broken(Exception):
    """What went wrong, and what to do about it."""


class Place:
    """A folder, and the server on its data."""

    def __init__(self, folder, exuvia, upstream, many):
        self.folder, self.exuvia, self.server = folder, exuvia, None
        self.counts = f"{folder}/counts"
        servers = {"Plain": {"command": upstream}, "Counts": {"command": upstream, "env": {"COUNTS": self.counts}}}
        self.write("mcp.json", json.dumps({"mcpServers": servers}))
        self.write("policy.json", '{"version": "1", "default": "allow"}')
        # Sleepers stay in memory here: `bench/sleepers.py` is about those that do not.
        self.write("exuvia.toml", f"[executions]\nat_once = {many + 100}\nqueue = {many + 100}\nsleeping = 0\n"
                                  # Those of sessions come from the disk each time.
                                  "[sessions]\nmemory = \"0B\"\n")

    def write(self, name, text):
        with open(f"{self.folder}/{name}", "w") as file:
            file.write(text)

    def start(self):
        """Seconds until it serves."""
        began = time.monotonic()
        flags = ["--config", "exuvia.toml", "--mcp-config", "mcp.json", "--policy", "policy.json", "--data", "data"]
        self.server = subprocess.Popen([self.exuvia, "serve", "--listen", "127.0.0.1:0", *flags], cwd=self.folder,
                                       stdout=subprocess.PIPE, text=True, env={**os.environ, "EXUVIA_LOG": "error"})
        line = self.server.stdout.readline()
        if not line:
            raise Broken(f"`{self.exuvia} serve` ended with status {self.server.wait()} before it served; it says why above")
        self.url = line.split()[-1].removesuffix("/mcp")
        threading.Thread(target=self.server.stdout.read, daemon=True).start()
        self.ask("/healthz")
        return time.monotonic() - began

    def kill(self):
        if self.server:
            self.server.kill()
            self.server.wait()

    def ask(self, path, body=None, method=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise Broken(f"{method or 'GET or POST'} {path}: status {error.code}, {error.read().decode()[:500]}") from error

    def execute(self, script, **more):
        params = {"name": "executeCode", "arguments": {"script": script, **more}}
        answer = self.ask("/mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
        return result(answer["result"]["structuredContent"])

    def submit(self, script):
        return self.ask("/v1/executions", {"script": script})["execution_uuid"]

    def status(self, uuid, seconds=0):
        return self.ask(f"/v1/executions/{uuid}?wait_seconds={seconds}")

    def wait(self, uuid):
        while (status := self.status(uuid, 30))["success"] is None:
            pass
        return result(status)

    def begun(self):
        """Waits until none waits for its turn."""
        until(lambda: not self.ask("/v1/executions?status=pending&limit=1")["executions"], "all executions to begin")

    def lines(self, text):
        if not os.path.exists(self.counts):
            return 0
        with open(self.counts) as file:
            return sum(line.rstrip() == f"{text};" for line in file)


def result(status):
    if not status["success"]:
        raise Broken(f"a script failed: {json.dumps(status['error'])}")
    return status["result"]


def until(done, what):
    began = time.monotonic()
    while not done():
        if time.monotonic() - began > PATIENCE:
            raise Broken(f"waited {PATIENCE} s for {what}")
        time.sleep(0.01)


def cost(place):
    place.execute("mcp_Counts_look(key='warm')")
    place.execute("mcp_Plain_slow(ms=1)")
    plain, journaled = [], []
    for _ in range(25):
        plain.append(place.execute(CALLS))
        journaled.append(place.wait(place.submit(CALLS)))
    # Other work only adds time: on a machine that has some, the least times say more.
    for what, of in (("median", statistics.median), ("least", min)):
        without, with_one = of(plain), of(journaled)
        print(f"100 calls of 1 ms, {what}: {without * 1000:.1f} ms, journalled {with_one * 1000:.1f} ms, {with_one / without - 1:+.1%}")


def resumed(place, what, script):
    place.execute(script, session_id="bench")
    place.execute(BEGAN, session_id="bench")
    times = {"cached": [], "from the disk itself": []}
    for _ in range(ROUNDS):
        for where, measured in times.items():
            for file in os.scandir(f"{place.folder}/data/sessions"):
                if where != "cached":
                    forget(file.path)
            fresh = begins(place)
            measured.append(begins(place, session_id="bench") - fresh)
    shown = ", ".join(f"{statistics.median(measured) * 1000:.2f} ms {where}" for where, measured in times.items())
    print(f"resume of a session with {what}: {shown}")
    place.ask("/v1/sessions/bench", method="DELETE")


def begins(place, **more):
    """Seconds until a program begins."""
    sent = time.time()
    return place.execute(BEGAN, **more) - sent


def forget(path):
    """Has the system read the file from the disk when it is next read."""
    file = os.open(path, os.O_RDONLY)
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(file)


def recorded(place, many):
    uuid = place.submit(EFFECTS.format(many=many))

    def is_recorded():
        status = place.status(uuid)
        if status["success"] is False:
            raise Broken(f"the script failed: {json.dumps(status['error'])}")
        return "recorded" in status["stdout"]

    until(is_recorded, "the effects to be recorded")
    time.sleep(0.2)
    place.kill()
    before = place.lines("put live")
    began = time.monotonic()
    serving = place.start()
    until(lambda: place.lines("put live") > before, "the run to go on")
    print(f"{many} recorded effects: serving after {serving:.2f} s, the run is live after {time.monotonic() - began:.2f} s")
    place.ask(f"/v1/executions/{uuid}", method="DELETE")


def unfinished(place, many):
    script = "import time\nprint('begun')\ntime.sleep(3600)"
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: place.submit(script), range(many)))
    place.begun()
    place.kill()
    began = time.monotonic()
    serving = place.start()
    place.begun()
    print(f"{many} unfinished executions: serving after {serving:.2f} s, all running after {time.monotonic() - began:.2f} s")


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    exuvia, upstream = (os.path.abspath(path) for path in sys.argv[1:3])
    for path in (exuvia, upstream):
        if not os.access(path, os.X_OK):
            sys.exit(f"{path} is no program: build it with `cargo build --release --workspace`")
    many = int(sys.argv[3]) if len(sys.argv) == 4 else 10_000
    with tempfile.TemporaryDirectory() as folder:
        place = Place(folder, exuvia, upstream, many)
        try:
            place.start()
            cost(place)
            resumed(place, "a list", SMALL)
            resumed(place, "a frame of 50 MB", FRAME)
            recorded(place, many)
            unfinished(place, many)
        except Broken as error:
            sys.exit(str(error))
        finally:
            place.kill()


if __name__ == "__main__":
    main()
