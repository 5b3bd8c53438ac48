#!/usr/bin/env python3
"""HTTP GET from a program, by the gate, to a server on loopback: microseconds, the median and the 95th percentile of many.

    bench/egress.py EXUVIA BARE [--requests N] [--rounds N]

EXUVIA is the binary, BARE the bare host client, built likewise: `cargo build --release --package exuvia-tests --bin bare-client-for-bench`.
Clients ask the same server, one after another, over one connection each: the bare host client, which is the server's own (hyper)
without a sandbox and a gate; CPython with http.client; and programs in the sandbox, with each library and with the effect alone.
`above` is what a program's request takes longer than that of the bare host client. Of several rounds, the one with the median
of the medians is shown, as other work on the machine comes and goes.
"""

import argparse
import asyncio
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
WARM = 200

LOOP = """
import time
def measured(get, n):
    times = []
    for _ in range(n):
        began = time.perf_counter_ns()
        get()
        times.append((time.perf_counter_ns() - began) / 1000)
    return times
"""

PROGRAMS = {
    "effect alone": """
from exuvia_guest import host, scheduler
from itertools import count
ids = count(10**6)
fields = {"method": "GET", "scheme": "http", "host": "127.0.0.1", "port": PORT, "target": "/", "headers": []}
def get():
    return host.parts(scheduler.wait_answer(host.start(host.message("http", fields | {"id": next(ids)}))))
""",
    "http.client": """
import http.client
line = http.client.HTTPConnection("127.0.0.1", PORT)
def get():
    line.request("GET", "/")
    return line.getresponse().read()
""",
    "urllib3": """
import urllib3
pool = urllib3.PoolManager()
def get():
    return pool.request("GET", "http://127.0.0.1:PORT/").data
""",
    "requests": """
import requests
session = requests.Session()
def get():
    return session.get("http://127.0.0.1:PORT/").content
""",
    "httpx": """
import httpx
client = httpx.Client()
def get():
    return client.get("http://127.0.0.1:PORT/").content
""",
}


class Replies(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        self.held = b""

    def data_received(self, data):
        self.held += data
        while b"\r\n\r\n" in self.held:
            _, self.held = self.held.split(b"\r\n\r\n", 1)
            self.transport.write(REPLY)


def web_server():
    """A server in a process of its own; its port."""
    reader, writer = os.pipe()
    if os.fork() == 0:

        async def serve():
            server = await asyncio.get_running_loop().create_server(Replies, "127.0.0.1", 0)
            os.write(writer, str(server.sockets[0].getsockname()[1]).encode())
            os.close(writer)
            await server.serve_forever()

        parent = os.getppid()
        threading.Thread(target=lambda: [time.sleep(1) for _ in iter(lambda: os.getppid() == parent, False)] and None or os._exit(0)).start()
        asyncio.run(serve())
    os.close(writer)
    return int(os.read(reader, 16))


def bare(binary, port, n):
    return json.loads(subprocess.run([binary, str(port), str(n)], check=True, capture_output=True, text=True).stdout)


def timed(get, n):
    names = {}
    exec(LOOP, names)
    names["measured"](get, WARM)
    return names["measured"](get, n)


def native(port, n):
    line = http.client.HTTPConnection("127.0.0.1", port)

    def get():
        line.request("GET", "/")
        return line.getresponse().read()

    return timed(get, n)


def exuvia(binary, port):
    """A server whose policy allows the port; the process, and its URL."""
    folder = tempfile.mkdtemp()
    policy = {"version": "1", "default": "allow", "x-sandbox": {"egress": {"allow": [{"host": "127.0.0.1", "ports": [port]}]}}}
    with open(f"{folder}/policy.json", "w") as file:
        json.dump(policy, file)
    command = [binary, "serve", "--listen", "127.0.0.1:0", "--data", f"{folder}/data", "--policy", f"{folder}/policy.json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "EXUVIA_LOG": "error"})
    return process, process.stdout.readline().split()[-1]


def sandboxed(url, source, port, n):
    script = f"{LOOP}{source.replace('PORT', str(port))}\nmeasured(get, {WARM})\nmeasured(get, {n})"
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "executeCode", "arguments": {"script": script}}}
    headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(call).encode(), headers)) as response:
        told = json.load(response)["result"]["structuredContent"]
    if told["error"]:
        sys.exit(told["error"]["traceback"])
    return told["result"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("exuvia")
    parser.add_argument("bare")
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    n, port = arguments.requests, web_server()
    process, url = exuvia(arguments.exuvia, port)
    clients = {"bare host client": lambda: bare(arguments.bare, port, n), "http.client, native": lambda: native(port, n)}
    for name, source in PROGRAMS.items():
        clients[f"{name}, in the sandbox"] = lambda source=source: sandboxed(url, source, port, n)
    try:
        rounds = [{name: client() for name, client in clients.items()} for _ in range(arguments.rounds)]
    finally:
        process.terminate()
        process.wait()
    rows = [(name, sorted((times[name] for times in rounds), key=statistics.median)[len(rounds) // 2]) for name in clients]
    base = statistics.median(rows[0][1])
    print(f"{'':30}{'median':>10}{'95 %':>10}{'above':>10}   µs")
    for name, times in rows:
        median, high = statistics.median(times), statistics.quantiles(times, n=20)[-1]
        print(f"{name:30}{median:10.0f}{high:10.0f}{median - base:10.0f}")


main()
