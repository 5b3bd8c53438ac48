"""Runs the common paths once, so that specialised bytecode, caches and free lists are in the snapshot."""

import sys

PARAMETERS = b'{"inputs": {"rate": 1}, "outputs": ["total"]}'
PROGRAMS = (
    """
import json
data = json.loads('{"a": [1, 2.5, null, "x"]}')
text = json.dumps(data, indent=2)
print(f"{len(text):>5}", text.splitlines()[0], end="")
import re, collections, datetime, time, math
words = re.findall(r"[a-z]+", "the quick brown fox" * 3)
counts = collections.Counter(words).most_common(2)
stamp = datetime.datetime(2024, 5, 6, 7, 8, 9).isoformat()
total = sum(x * x for x in range(50))
rows = sorted(({"k": i % 3, "v": i} for i in range(20)), key=lambda r: (r["k"], -r["v"]))
class Point:
    def __init__(self, x): self.x = x
points = [Point(i) for i in range(10)]
try:
    {}["missing"]
except KeyError as error:
    message = str(error)
with open("/tmp/warm", "w") as file: file.write("a,b\\n1,2\\n")
with open("/tmp/warm") as file: lines = file.read().split()
import os; os.remove("/tmp/warm")
total
""",
    """
import pandas as pd, numpy as np, io
rows = "name,kind,amount,when\\na,x,1,2024-01-01\\nb,y,2.5,2024-01-02\\nc,x,3,2024-01-03\\n"
frame = pd.read_csv(io.StringIO(rows), parse_dates=["when"])
sums = frame.groupby("kind")["amount"].sum()
means = frame.groupby("kind").agg(total=("amount", "sum"), n=("name", "count")).reset_index()
both = frame.merge(means, on="kind").sort_values("amount", ascending=False)
text = both.to_string() + both.to_csv(index=False) + both.to_json(orient="records") + repr(frame) + repr(sums)
described = frame.describe()
pivot = frame.pivot_table(index="kind", values="amount", aggfunc="mean")
filtered = frame[frame["amount"] > 1].assign(double=lambda d: d["amount"] * 2)
array = np.arange(100).reshape(10, 10)
numbers = (array @ array).sum(), array.mean(axis=0), np.linalg.norm(array), np.sqrt(array)
frame
""",
    """
import nowhere_to_be_found
""",
    """
def f(n):
    return 1 / n
f(0)
""",
    """
x = = 1
""",
    """
import time, threading
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(4) as pool:
    squares = list(pool.map(lambda x: x * x, range(8)))
threads = [threading.Thread(target=squares.append, args=(i,)) for i in range(3)]
[t.start() for t in threads]
[t.join() for t in threads]
import asyncio
async def main():
    return await asyncio.gather(asyncio.sleep(0, 1), asyncio.to_thread(len, "abc"))
asyncio.run(main())
""",
)


# With every request answered by `_Answering`.
HTTP_PROGRAMS = (
    """
import asyncio, urllib.request, requests, httpx
urllib.request.urlopen("http://localhost/").read()
requests.get("http://localhost/?a=1", timeout=5).json()
requests.post("http://localhost/", json={"a": 1}, headers={"Authorization": "Bearer x"}).raise_for_status()
with requests.Session() as session:
    session.get("http://localhost/").text
httpx.get("http://localhost/", params={"a": 1}).json()
with httpx.Client(base_url="http://localhost", headers={"Authorization": "Bearer x"}) as client:
    client.post("/", json={"a": 1}).raise_for_status()
    with client.stream("GET", "/") as response:
        parts = list(response.iter_bytes())
async def main():
    async with httpx.AsyncClient() as client:
        return await asyncio.gather(client.get("http://localhost/a"), client.get("http://localhost/b"))
asyncio.run(main())
""",
)
ANSWER = (
    b'{"ok":{"status":200,"reason":"OK","version":"HTTP/1.1","headers":[["content-type","application/json"],'
    b'["content-length","2"],["date","Mon, 06 May 2024 07:08:09 GMT"]],"end":true}}\0{}'
)


class _Answering:
    """A host that knows one answer."""

    handle = 0

    def start(self, message):
        self.handle += 1
        return self.handle

    def wait(self, handles):
        return 0

    def answer(self, handle):
        return ANSWER

    def drop(self, handle):
        return None


class _Sink:
    def write(self, text):
        return len(text)

    def flush(self):
        pass


def run():
    """Run each program often enough for the interpreter to specialise it, with output and outcome thrown away."""
    from exuvia_guest import program

    finish = program._exuvia.finish
    streams = sys.stdout, sys.stderr
    sys.stdout = sys.stderr = _Sink()
    program._exuvia.finish = _ignore
    try:
        for source in PROGRAMS:
            if "pandas" in source and "pandas" not in sys.modules:
                continue
            encoded = source.encode()
            for _ in range(3):
                program.run(len(encoded).to_bytes(4, "little") + encoded + PARAMETERS)
        if "httpx" in sys.modules and "requests" in sys.modules:
            _run_http(program)
        encoded = b"print(1)"
        for _ in range(20):
            program.run(len(encoded).to_bytes(4, "little") + encoded)
    finally:
        program._exuvia.finish = finish
        sys.stdout, sys.stderr = streams


def _run_http(program):
    names = ("start", "wait", "answer", "drop")
    own = [getattr(program._exuvia, name) for name in names]
    answering = _Answering()
    for name in names:
        setattr(program._exuvia, name, getattr(answering, name))
    try:
        for source in HTTP_PROGRAMS:
            encoded = source.encode()
            for _ in range(3):
                program.run(len(encoded).to_bytes(4, "little") + encoded)
    finally:
        for name, function in zip(names, own):
            setattr(program._exuvia, name, function)


def _ignore(message):
    return None
