# Everything that could differ from one run to the next. One line for each kind, its name first.
import asyncio, concurrent.futures, datetime, gc, hashlib, json, logging, os, pathlib, queue, random, secrets, sqlite3, sys, tempfile, threading, time, traceback, uuid, weakref, zlib

import numpy as np
import pandas as pd


def say(name, *values):
    print(f"{name}:", *values, "ok")


say("random", random.random(), random.gauss(0, 1), random.sample(range(10**6), 5), random.Random().random(), random.SystemRandom().random())
say("numpy", np.random.rand(3), np.random.default_rng().normal(size=2), np.random.permutation(5), np.random.RandomState().rand())
say("identifiers", uuid.uuid4(), uuid.uuid1().version)
say("secrets", secrets.token_hex(), secrets.choice("abcdef"), secrets.randbelow(10**9))
say("system", os.urandom(16).hex())
names = [os.path.basename(tempfile.mktemp()) for _ in range(3)]
with tempfile.NamedTemporaryFile() as file, tempfile.TemporaryDirectory() as folder:
    names += [file.name, folder]
say("temporary names", names)
say("devices", open("/dev/urandom", "rb").read(8).hex(), open("/dev/random", "rb").read(8).hex())
say("times", time.time(), time.time_ns(), datetime.datetime.now(), datetime.date.today(), time.localtime(), pd.Timestamp.now(), time.strftime("%c"))
say("durations", time.monotonic(), time.perf_counter_ns(), time.process_time())
pathlib.Path("one.txt").write_text("one")
os.mkdir("folder")
os.utime("given.csv", (1, 2))
stats = [os.stat(path) for path in ("one.txt", "folder", "given.csv", "/lib/python3.13/os.py", "/dev/null")]
say("file times", [(stat.st_atime_ns, stat.st_mtime_ns, stat.st_ctime_ns) for stat in stats])
say("files", [(stat.st_ino, stat.st_dev, stat.st_size, stat.st_nlink, stat.st_mode) for stat in stats], os.listdir("."), os.getpid())
say("order", {"b", "a", "c", 3.5, (1, 2)}, {name: hash(name) for name in ("x", "yy", b"z", 1.5, None)}, list(vars(sys.flags.__class__))[:3])
say("addresses", id(object()), object(), print, weakref.ref(random.Random), sys.getsizeof({}), len(gc.get_objects()), gc.get_count())


def work(number):
    time.sleep(number / 1000)
    return number, threading.current_thread().name, threading.get_ident()


async def main():
    async def one(number):
        await asyncio.sleep(number / 1000)
        return number

    tasks = [asyncio.create_task(one(number)) for number in (3, 1, 2)]
    finished = [await task for task in asyncio.as_completed(tasks)]
    return finished, await asyncio.to_thread(work, 2), asyncio.get_running_loop().time()


with concurrent.futures.ThreadPoolExecutor(4) as pool:
    completed = [future.result() for future in concurrent.futures.as_completed([pool.submit(work, n) for n in (5, 1, 3)])]
line = queue.Queue()
threads = [threading.Thread(target=lambda n=n: (time.sleep(0.001 * n), line.put(n))) for n in (2, 1, 3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
say("threads", completed, [line.get() for _ in range(3)], asyncio.run(main()))
frame = pd.DataFrame({"kind": list("abcab"), "value": np.arange(5) ** 2.5}, index=pd.date_range("2026-01-01", periods=5))
summary = frame.groupby("kind").value.agg(["sum", "mean", "std"])
database = sqlite3.connect(":memory:")
database.execute("create table t (a, b)")
database.executemany("insert into t values (?, ?)", [(n, n * n) for n in rows])
say("pandas", summary.to_json(), frame.describe().to_csv(), database.execute("select sum(b), max(a) from t").fetchall(), zlib.crc32(frame.to_csv().encode()))
try:
    json.loads("{")
except ValueError:
    say("traceback", hashlib.sha256(traceback.format_exc().encode()).hexdigest())
logging.warning("to stderr")
print("to stderr", object(), file=sys.stderr)
{"summary": frame, "object": object()}
