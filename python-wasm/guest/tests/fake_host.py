"""A stand-in for the host: the module `_exuvia` on a virtual clock, so that tests of waits take no time.

`install()` must run before anything of the guest is imported.
"""

import heapq
import json
import sys
import time
from types import ModuleType

EPOCH = 1_700_000_000_000_000_000


class FakeHost:
    def __init__(self):
        self.now = 0
        self.next = 0
        self.pending = {}  # handle -> (ready at, answer)
        self.outcome = None
        self.effects = []
        self.waits = 0
        # op -> function of the message, giving (seconds until the answer, value or exception-like dict).
        self.tools = {}
        # Waits longer than this are taken for a hang (virtual ns).
        self.deadline = 3600 * 10**9

    def start(self, message):
        message = json.loads(bytes(message).partition(b"\0")[0])
        self.effects.append(message)
        if message["op"] == "sleep":
            delay, answer = message["ns"], b""
        else:
            seconds, value = self.tools[message.get("name", message["op"])](message)
            delay = int(seconds * 1e9)
            answer = json.dumps(value if isinstance(value, dict) and "error" in value else {"ok": value}).encode()
        self.next += 1
        self.pending[self.next] = (self.now + delay, answer)
        return self.next

    def wait(self, handles):
        self.waits += 1
        handles = list(handles)
        assert handles, "a wait for nothing"
        for handle in handles:
            if handle not in self.pending:
                return -1
        times = [(self.pending[h][0], i) for i, h in enumerate(handles)]
        ready, index = heapq.nsmallest(1, times)[0]
        self.now = max(self.now, ready)
        if self.now > self.deadline:
            raise SystemError("the run would hang")
        return index

    def answer(self, handle):
        ready, answer = self.pending.get(handle, (float("inf"), b""))
        if ready > self.now:
            raise ValueError(f"handle {handle} has no answer")
        del self.pending[handle]
        return answer

    def drop(self, handle):
        self.pending.pop(handle, None)

    def finish(self, message):
        self.outcome = message


def install():
    host = FakeHost()
    module = ModuleType("_exuvia")
    for name in ("start", "wait", "answer", "drop", "finish"):
        setattr(module, name, getattr(host, name))
    sys.modules["_exuvia"] = module
    time.monotonic_ns = time.perf_counter_ns = lambda: host.now
    time.monotonic = time.perf_counter = lambda: host.now / 1e9
    time.time_ns = lambda: EPOCH + host.now
    time.time = lambda: (EPOCH + host.now) / 1e9
    return host
