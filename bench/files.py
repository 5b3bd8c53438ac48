#!/usr/bin/env python3
"""What large files and long output cost the host in memory: `bench/files.py EXUVIA`, a binary that can serve.

A program writes 200 MB to /mnt/data in pieces, reads them again, and they become an artifact that is fetched; another downloads them with
httpx from a server on loopback; another is given a file of 200 MB; another prints 60 MB. Beside each: the most that the process's own memory (private and dirty, from /proc) rose to above what it was
before, looked at every few milliseconds. What the guest itself takes is the same without any file, and is measured and taken off.
"""

import http.server
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

BINARY = os.path.abspath(sys.argv[1])
MEGABYTE = 1_000_000
SIZE = 200 * MEGABYTE

NOTHING = "buffer = bytearray(1_000_000)\nfor n in range(200):\n    buffer[n::4096] = bytes(len(buffer[n::4096]))\n"
WRITE = "import os\npiece = os.urandom(1_000_000)\nwith open('x', 'wb') as file:\n    for n in range(200):\n        file.write(piece)\n"
READ = "with open('x', 'rb') as file:\n    total = 0\n    while piece := file.read(1_000_000):\n        total += len(piece)\ntotal"
DOWNLOAD = """
import httpx
with open('x', 'wb') as file, httpx.stream('GET', url) as answer:
    for piece in answer.iter_bytes():
        file.write(piece)
file.name
"""
PRINT = "for n in range(60_000):\n    print('x' * 999)"


class Origin(http.server.BaseHTTPRequestHandler):
    """A server that has 200 MB for whoever asks."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(SIZE))
        self.end_headers()
        piece = os.urandom(MEGABYTE)
        for _ in range(SIZE // MEGABYTE):
            self.wfile.write(piece)

    def log_message(self, *_):
        pass


class Server:
    def __init__(self, folder, port):
        policy = pathlib.Path(folder, "policy.json")
        egress = {"allow": [{"host": "127.0.0.1", "ports": [port]}]}
        policy.write_text(json.dumps({"version": "1", "default": "allow", "x-sandbox": {"egress": egress}}))
        self.process = subprocess.Popen(
            [BINARY, "serve", "--listen", "127.0.0.1:0", "--data", f"{folder}/data", "--policy", policy],
            stdout=subprocess.PIPE, text=True, env={**os.environ, "EXUVIA_LOG": "error"})
        self.url = self.process.stdout.readline().split()[-1].removesuffix("/mcp")
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def ask(self, path, data=None, headers=None):
        with urllib.request.urlopen(urllib.request.Request(self.url + path, data, headers or {})) as answer:
            return json.load(answer)

    def run(self, script, **more):
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                "params": {"name": "executeCode", "arguments": {"script": script, **more}}}
        headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        given = self.ask("/mcp", json.dumps(call).encode(), headers)["result"]["structuredContent"]
        if not given["success"]:
            sys.exit(json.dumps(given["error"]))
        return given

    def memory(self):
        """Bytes of memory that are the process's alone: neither files that it maps, nor the kernel's cache of others."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"RssAnon:\s+(\d+)", status)[1]) * 1024

    def peak(self, work):
        """How far memory rose while `work` was done, in MB, how long that took, and what it gave."""
        before = most = self.memory()
        done = threading.Event()

        def look():
            nonlocal most
            while not done.is_set():
                most = max(most, self.memory())
                time.sleep(0.002)

        looking = threading.Thread(target=look)
        looking.start()
        began = time.perf_counter()
        given = work()
        took = time.perf_counter() - began
        done.set()
        looking.join()
        return (most - before) / MEGABYTE, took, given


class Zeros:
    """A body that is not in memory."""

    def __init__(self, size):
        self.left = size

    def read(self, most):
        count = min(most, self.left)
        self.left -= count
        return bytes(count)


def main():
    with tempfile.TemporaryDirectory() as folder:
        origin = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Origin)
        threading.Thread(target=origin.serve_forever, daemon=True).start()
        server = Server(folder, origin.server_port)
        for _ in range(20):
            server.run(NOTHING)
        rows = []

        def measure(what, work):
            rose, took, given = server.peak(work)
            rows.append((what, rose, took))
            return given

        measure("no file, the same loop", lambda: server.run(NOTHING))
        given = measure("200 MB written, read and kept", lambda: server.run(WRITE + READ))
        assert given["result"] == SIZE and given["artifacts"][0]["size"] == SIZE
        way = server.url + given["artifacts"][0]["uri"].replace("exuvia://", "/v1/", 1)

        def fetch():
            total = 0
            with urllib.request.urlopen(way) as answer:
                while piece := answer.read(1 << 20):
                    total += len(piece)
            assert total == SIZE

        measure("200 MB fetched", fetch)
        url = f"http://127.0.0.1:{origin.server_port}/"
        given = measure("200 MB downloaded and kept", lambda: server.run(DOWNLOAD, input_vars={"url": url}))
        assert given["artifacts"][0]["size"] == SIZE
        headers = {"content-length": str(SIZE)}
        file = measure("200 MB given", lambda: server.ask("/v1/files?name=x", Zeros(SIZE), headers))
        measure("200 MB read where they lie", lambda: server.run(READ, files=[file["id"]]))
        measure("200 MB changed in one byte", lambda: server.run("file = open('x', 'r+b')\nfile.write(b'!')", files=[file["id"]]))
        given = measure("60 MB printed", lambda: server.run(PRINT))
        assert given["more"]["stdout"]["size"] == 60 * MEGABYTE
        server.process.terminate()
        server.process.wait()
        print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors\n")
        print("| what | memory of the host, above the moment before | time |\n| --- | --- | --- |")
        for what, rose, took in rows:
            print(f"| {what} | {rose:.1f} MB | {took:.2f} s |")


main()
