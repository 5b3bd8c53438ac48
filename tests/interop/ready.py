"""Waits until all upstream servers of the server under test are connected; asks, and does not sleep."""

import json
import os
import time
import urllib.request

DEADLINE = time.monotonic() + 90


def servers():
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "listTools", "arguments": {}}}
    headers = {
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "x-api-key": os.environ["INTEROP_KEY"],
    }
    request = urllib.request.Request(os.environ["EXUVIA_URL"] + "/mcp", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["result"]["structuredContent"]["servers"]


while waiting := [server for server in servers() if server["status"] != "ready"]:
    if time.monotonic() > DEADLINE:
        raise SystemExit(f"these servers are not connected: {waiting}")
