"""An MCP server over standard input and output that misbehaves on demand. Needs nothing but Python's standard library."""

import json
import os
import signal
import subprocess
import sys

MODE, *REST = sys.argv[1:] or ["normal"]
VERSION = "2025-06-18"
names = ["echo", "hang", "die", "garble", "wrong", "big", "late", "change", "hold", "spawn", "environment", "refuse"]
held = []
late = []
most = 0
barrier = False


def send(message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def answer(id, text):
    send({"id": id, "result": {"content": [{"type": "text", "text": text}]}})


def tool(name):
    properties = {"text": {"type": "string"}, "number": {"type": "integer"}}
    return {"name": name, "description": f"Does {name}.", "inputSchema": {"type": "object", "properties": properties}}


def release(number):
    """Answers all held calls once `number` are there, after asking the client whether it has more to send."""
    global barrier
    if len(held) == number and not barrier:
        barrier = True
        send({"id": "barrier", "method": "ping"})


def call(id, name, arguments):
    global most
    if late and name != "late":
        answer(late.pop(), "too late")
    if name == "echo":
        answer(id, arguments.get("text", ""))
    elif name == "die":
        print("I was told to die", file=sys.stderr)
        sys.exit(7)
    elif name == "garble":
        print("this is no message\nnor is \x1b[31mthis", flush=True)
        answer(id, "after garbage")
    elif name == "wrong":
        print(json.dumps({"id": id, "result": 7, "error": 8}), flush=True)
    elif name == "big":
        answer(id, "x" * arguments["number"])
    elif name == "late":
        late.append(id)
    elif name == "change":
        names.append(arguments["text"])
        send({"method": "notifications/tools/list_changed"})
        answer(id, "changed")
    elif name == "hold":
        held.append(id)
        most = max(most, len(held))
        release(arguments["number"])
    elif name == "spawn":
        child = subprocess.Popen(["sleep", "1000"])
        answer(id, f"{os.getpid()} {child.pid}")
    elif name == "environment":
        answer(id, json.dumps(dict(os.environ)))
    elif name == "refuse":
        send({"id": id, "error": {"code": -32602, "message": "not like this"}})
    # `hang` gets no answer.


def received(message):
    global barrier, most
    id, method = message.get("id"), message.get("method")
    if id == "barrier":
        most = max(most, len(held))
        while held:
            answer(held.pop(), str(most))
        barrier = False
    elif method == "initialize":
        capabilities = {"tools": {"listChanged": True}}
        info = {"name": "misbehaving", "version": "1"}
        send({"id": id, "result": {"protocolVersion": VERSION, "capabilities": capabilities, "serverInfo": info}})
    elif method == "tools/list":
        if MODE == "pages":
            page = int(message.get("params", {}).get("cursor") or 0)
            result = {"tools": [tool(f"tool{page}"), tool("again"), tool("")], "nextCursor": str(page + 1)}
            send({"id": id, "result": result})
        else:
            send({"id": id, "result": {"tools": [tool(name) for name in names]}})
    elif method == "tools/call":
        call(id, message["params"]["name"], message["params"].get("arguments", {}))
    elif method == "ping":
        send({"id": id, "result": {}})
    elif id is not None and method is not None:
        if MODE == "strict":
            sys.exit(f"unknown method {method}")
        send({"id": id, "error": {"code": -32601, "message": "unknown method"}})


def count(path):
    """How many times this has been called for `path`."""
    with open(path, "a+") as file:
        file.write("x")
        return file.tell()


def main():
    if MODE == "fail":
        print(f"cannot start: {os.environ.get('SECRET', 'no reason')}", file=sys.stderr)
        sys.exit(3)
    if MODE == "fail-first":
        path, failures = REST
        if count(path) <= int(failures):
            sys.exit("not yet")
    if MODE == "chatter":
        print("Welcome!\n{not json", flush=True)
    if MODE == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for line in sys.stdin:
        if MODE == "silent":
            continue
        received(json.loads(line))
    while MODE == "stubborn":
        signal.pause()


main()
