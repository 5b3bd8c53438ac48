#!/usr/bin/env python3
"""What sleeping executions cost, and whether they wake: N jobs begin, run some Python and sleep.

    bench/sleepers.py EXUVIA [N]     a binary built with --release; 100,000 without N

It prints memory and disk for each sleeper, how long a restart takes over all of them, and how fast they wake.
"""

import concurrent.futures
import http.client
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time

CLIENTS = 16
# When the first of them wakes, after the last has fallen asleep, and within how many seconds all do.
QUIET, SPREAD = 60, 60
SCRIPT = "import time\nnumbers = [n * n for n in range(1000)]\nprint('begun', sum(numbers), flush=True)\ntime.sleep({seconds})\nprint('woke')"


class Server:
    def __init__(self, folder, exuvia, many):
        self.folder, self.exuvia, self.process = folder, exuvia, None
        (folder / "exuvia.toml").write_text(f"[executions]\nqueue = {many + 1000}\nsleeping = {many + 1000}\n"
                                            f"[retention]\ncount = {many * 2 + 1000}\n")

    def start(self):
        """Seconds until it serves."""
        began = time.monotonic()
        arguments = ["serve", "--listen", "127.0.0.1:0", "--config", self.folder / "exuvia.toml", "--data", self.folder / "data"]
        self.process = subprocess.Popen([self.exuvia, *arguments], stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, "EXUVIA_LOG": "error"})
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"`{self.exuvia} serve` ended with status {self.process.wait()} before it served; it says why above")
        self.address = line.split()[-1].removesuffix("/mcp").removeprefix("http://")
        threading.Thread(target=self.process.stdout.read, daemon=True).start()
        return time.monotonic() - began

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()

    def connection(self):
        return http.client.HTTPConnection(self.address, timeout=120)

    def memory(self):
        """MiB of its own."""
        rollup = pathlib.Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        return sum(int(size) for size in re.findall(r"Private_\w+:\s+(\d+)", rollup)) / 1024

    def disk(self):
        """MiB of its data."""
        files = (pathlib.Path(folder) / name for folder, _, names in os.walk(self.folder / "data") for name in names)
        return sum(file.stat().st_blocks * 512 for file in files) / (1 << 20)


def ask(connection, method, path, body=None):
    connection.request(method, path, body and json.dumps(body), {"content-type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status >= 400:
        sys.exit(f"{method} {path}: status {answer.status}, {text.decode()[:500]}")
    return json.loads(text)


def submit(server, many, wake):
    """Submits them from several clients; their ids."""
    def client(number):
        connection, ids = server.connection(), []
        for n in range(number, many, CLIENTS):
            seconds = max(1, wake + n * SPREAD / many - time.time())
            answer = ask(connection, "POST", "/v1/executions", {"script": SCRIPT.format(seconds=seconds)})
            ids.append(answer["execution_uuid"])
        return ids

    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        return [one for ids in pool.map(client, range(CLIENTS)) for one in ids]


def statuses(server, ids):
    connection = server.connection()
    return [ask(connection, "GET", f"/v1/executions/{one}") for one in ids]


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    exuvia, many = os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) == 3 else 100_000
    if not os.access(exuvia, os.X_OK):
        sys.exit(f"{exuvia} is no program: build it with `cargo build --release`")
    with tempfile.TemporaryDirectory() as folder:
        server = Server(pathlib.Path(folder), exuvia, many)
        try:
            measure(server, many)
        finally:
            server.kill()


def measure(server, many):
    server.start()
    # So that what every server has is there before.
    warm = submit(server, CLIENTS, time.time())
    while any(status["success"] is None for status in statuses(server, warm)):
        time.sleep(0.1)
    memory, disk = server.memory(), server.disk()
    # An estimate of how long it takes to submit them; who wakes before the last sleeps is counted below.
    began = time.monotonic()
    wake = time.time() + many / 600 + QUIET
    ids = submit(server, many, wake)
    print(f"{many} submitted in {time.monotonic() - began:.0f} s")
    while not all(status.get("suspended") or status["success"] is not None for status in statuses(server, ids[-1:] + ids[::997])):
        time.sleep(0.5)
    time.sleep(5)
    asleep = statuses(server, ids[::97])
    print(f"asleep {time.monotonic() - began:.0f} s after the first was submitted, of a sample of {len(asleep)}: "
          f"{sum(status.get('suspended', False) for status in asleep)}; began and printed: "
          f"{sum(status['stdout'].startswith('begun 332833500') for status in asleep)}")
    more = server.memory() - memory
    print(f"memory: {memory:.0f} MiB without, {server.memory():.0f} MiB with them: {more * 1024 * 1024 / many:.0f} bytes each")
    print(f"disk: {server.disk() - disk:.0f} MiB: {(server.disk() - disk) * 1024 * 1024 / many:.0f} bytes each")
    server.kill()
    print(f"killed; the next server serves after {server.start():.2f} s, and has {server.memory():.0f} MiB")
    time.sleep(max(0, wake - time.time()))
    first, last = time.time(), ids[-CLIENTS:] + ids[::997]
    while any(status["success"] is None for status in statuses(server, last)):
        time.sleep(0.2)
    took = time.time() - first
    print(f"all woken {took:.0f} s after the first was due, which is {many / took:.0f} a second; they were due over {SPREAD} s")
    ended = statuses(server, ids)
    sound = sum(status["status"] == "completed" and status["stdout"] == "begun 332833500\nwoke\n" for status in ended)
    print(f"ended as they should: {sound} of {many}")
    print(f"memory afterwards: {server.memory():.0f} MiB")


main()
