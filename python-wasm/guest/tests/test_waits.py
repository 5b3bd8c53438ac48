"""What is waited for, in which order, and what is raised when a wait can never end. Time is the fake host's."""

import unittest

from booted import host, run_apart

PROGRAM = """
import time
start = time.monotonic()
%s
elapsed = round(time.monotonic() - start, 6)
"""


def elapsed(body):
    outcome, stdout, stderr = run_apart(PROGRAM % body, outputs=["elapsed"])
    assert "error" not in outcome, outcome["error"]["traceback"]
    assert not stderr, stderr
    return outcome["outputs"]["elapsed"]


class Overlap(unittest.TestCase):
    def test_pool(self):
        body = "from concurrent.futures import ThreadPoolExecutor as P\nwith P() as p: list(p.map(time.sleep, [0.5] * 20))"
        self.assertEqual(0.5, elapsed(body))

    def test_waves(self):
        body = "from concurrent.futures import ThreadPoolExecutor as P\nwith P(10) as p: list(p.map(time.sleep, [0.5] * 100))"
        self.assertEqual(5.0, elapsed(body))

    def test_uneven_items_do_not_run_one_by_one(self):
        body = (
            "from concurrent.futures import ThreadPoolExecutor as P\n"
            "with P(10) as p: list(p.map(time.sleep, [0.1 * (1 + i % 5) for i in range(100)]))"
        )
        # 30 s of sleep; 3 s were perfect.
        self.assertLess(elapsed(body), 6)

    def test_more_threads_than_may_be_nested(self):
        body = (
            "import threading\nts = [threading.Thread(target=time.sleep, args=(0.1,)) for _ in range(200)]\n"
            "[t.start() for t in ts]\n[t.join() for t in ts]"
        )
        self.assertLess(elapsed(body), 0.5)

    def test_semaphore(self):
        body = (
            "import threading\ns = threading.BoundedSemaphore(5)\n"
            "def f():\n    with s: time.sleep(0.1)\n"
            "ts = [threading.Thread(target=f) for _ in range(20)]\n[t.start() for t in ts]\n[t.join() for t in ts]"
        )
        self.assertEqual(0.4, elapsed(body))

    def test_asyncio_mixes_with_threads(self):
        body = (
            "import asyncio\nasync def main():\n"
            "    await asyncio.gather(*(asyncio.to_thread(time.sleep, 0.1) for _ in range(10)), asyncio.sleep(0.1))\n"
            "asyncio.run(main())"
        )
        self.assertEqual(0.1, elapsed(body))


    def test_sleep_is_no_method(self):
        self.assertEqual(0.25, elapsed("class C:\n    pause = time.sleep\nC().pause(0.25)"))
        self.assertEqual(0.5, elapsed("import selectors\nselectors.SelectSelector().select(0.5)"))


class Stuck(unittest.TestCase):
    def lines(self, source):
        outcome, stdout, stderr = run_apart(source)
        return outcome, stdout, stderr

    def test_queue_filled_too_late(self):
        # A wait that is not in the thread's own function cannot be set aside.
        outcome, _, stderr = self.lines(
            "import queue, threading, time\nq = queue.Queue()\ndef take():\n    return q.get()\ndef f():\n    take()\n"
            "t = threading.Thread(target=f)\nt.start()\ntime.sleep(0.1)\nq.put(1)\nt.join()\n"
        )
        self.assertEqual({}, outcome)
        self.assertIn("deadlock: Queue.get() can only be ended by code that is suspended beneath", stderr)

    def test_lock_of_a_suspended_task(self):
        # The main program holds the lock and waits for a thread that needs it.
        outcome, _, stderr = self.lines(
            "import threading\nlock = threading.Lock()\ndef f():\n    with lock: pass\n"
            "t = threading.Thread(target=f)\nwith lock:\n    t.start()\n    t.join()\n'over'"
        )
        self.assertEqual({"result": "over"}, outcome)
        self.assertIn("deadlock: Lock.__enter__()", stderr)

    def test_timeout_is_honoured(self):
        outcome, _, _ = self.lines(
            "import threading\nlock, seen = threading.Lock(), []\n"
            "t = threading.Thread(target=lambda: seen.append(lock.acquire(timeout=0.5)))\n"
            "with lock:\n    t.start()\n    t.join()\nseen"
        )
        self.assertEqual({"result": [False]}, outcome)

    def test_thread_that_polls_for_what_comes_later(self):
        for call, message in (("time.sleep(0.5)", ""), ("pause()", "this thread keeps polling")):
            outcome, _, stderr = self.lines(
                "import threading, time\ndone = False\ndef pause(): time.sleep(0.5)\n"
                f"def f():\n    while not done: {call}\n"
                "threading.Thread(target=f).start()\ntime.sleep(1)\ndone = True\n'over'"
            )
            self.assertEqual({"result": "over"}, outcome)
            self.assertIn(message, stderr)
            self.assertEqual(bool(message), bool(stderr))

    def test_daemon_that_polls_ends_quietly(self):
        for call, longest in (("time.sleep(1)", 10), ("pause()", 25)):
            outcome, _, stderr = self.lines(
                f"import threading, time\ndef pause(): time.sleep(1)\ndef f():\n    while True: {call}\n"
                "threading.Thread(target=f, daemon=True).start()\nt = time.monotonic()\ntime.sleep(10)\ntime.monotonic() - t"
            )
            self.assertEqual("", stderr)
            self.assertTrue(10 <= outcome["result"] <= longest, outcome)

    def test_daemon_that_works_by_sleeping_is_left_alone(self):
        outcome, _, stderr = self.lines(
            "import queue, threading, time\nq, out = queue.Queue(), []\ndef work(n):\n    time.sleep(0.1)\n    out.append(n)\n"
            "def f():\n    while True:\n        work(q.get())\n        q.task_done()\n"
            "for _ in range(3): threading.Thread(target=f, daemon=True).start()\nfor n in range(30): q.put(n)\nq.join()\nsorted(out)"
        )
        self.assertEqual(({"result": list(range(30))}, ""), (outcome, stderr))

    def test_timed_wait_under_a_heartbeat(self):
        outcome, _, stderr = self.lines(
            "import threading, time\nbeats = []\nstop = threading.Event()\n"
            "def f():\n    while not stop.wait(1):\n        beats.append(1)\n"
            "threading.Thread(target=f, daemon=True).start()\nt = time.monotonic()\n"
            "for _ in range(3): threading.Event().wait(5)\n(time.monotonic() - t, len(beats))"
        )
        self.assertEqual("", stderr)
        elapsed, beats = outcome["result"]
        self.assertTrue(15 <= elapsed <= 20 and beats >= 12, outcome)

    def test_joining_oneself(self):
        outcome, _, _ = self.lines("import threading\nthreading.current_thread().join()")
        self.assertEqual("cannot join current thread", outcome["error"]["message"])

    def test_future_without_anyone(self):
        outcome, _, _ = self.lines("from concurrent.futures import Future\nFuture().result()")
        self.assertIn("deadlock: Future.result() would wait for ever", outcome["error"]["message"])

    def test_too_many_effects(self):
        host.start, kept = (lambda message: -1), host.start
        try:
            import _exuvia

            _exuvia.start = host.start
            outcome, _, _ = self.lines("import exuvia\nexuvia.call('x')")
            self.assertEqual("exuvia_guest.host.HostError", outcome["error"]["type"])
        finally:
            host.start = _exuvia.start = kept


class SetAside(unittest.TestCase):
    """Threads that wait for code beneath them, and go on when it has done what they wait for (parking.py)."""

    def check(self, source, result):
        outcome, _, stderr = run_apart(source)
        self.assertEqual(({"result": result}, ""), (outcome, stderr))

    LOOPS = (
        "while True:\n        item = q.get()\n        if item is None: break\n        out.append(item)\n        q.task_done()",
        "while (item := q.get()) is not None:\n        out.append(item)\n        q.task_done()",
        "for item in iter(q.get, None):\n        out.append(item)\n        q.task_done()",
    )

    def test_sentinels_after_join(self):
        for loop in self.LOOPS:
            for daemon in (True, False):
                with self.subTest(loop, daemon=daemon):
                    self.check(
                        f"import queue, threading\nq, out = queue.Queue(), []\ndef worker():\n    {loop}\n"
                        f"ts = [threading.Thread(target=worker, daemon={daemon}) for _ in range(3)]\n[t.start() for t in ts]\n"
                        "for n in range(10): q.put(n)\nq.join()\nfor n in range(10, 20): q.put(n)\nq.join()\n"
                        "for t in ts: q.put(None)\n[t.join() for t in ts]\n(sorted(out), any(t.is_alive() for t in ts))",
                        [list(range(20)), False],
                    )

    def test_state_is_kept(self):
        self.check(
            "import queue, threading, time\nq, out = queue.Queue(), []\n"
            "def worker(name, total=0):\n    started = out.append('start')\n    seen = []\n    while True:\n"
            "        item = q.get()\n        if item is None:\n            break\n        total += item\n        seen.append(item)\n"
            "    out.append((name, total, seen))\n"
            "t = threading.Thread(target=worker, args=('w',), kwargs={'total': 100})\nt.start()\n"
            "for n in range(5):\n    q.put(n)\n    time.sleep(0.1)\nq.put(None)\nt.join()\nout",
            ["start", ["w", 110, [0, 1, 2, 3, 4]]],
        )

    def test_producer_first(self):
        self.check(
            "import queue, threading, time\nq, out = queue.Queue(2), []\n"
            "def produce():\n    for n in range(10):\n        time.sleep(0.01)\n        q.put(n)\n    q.put(None)\n"
            "def consume():\n    while True:\n        item = q.get()\n        if item is None: return\n        time.sleep(0.03)\n"
            "        out.append(item)\n"
            "ts = [threading.Thread(target=produce), threading.Thread(target=consume)]\n[t.start() for t in ts]\n"
            "[t.join() for t in ts]\nout",
            list(range(10)),
        )

    def test_pipeline_of_subclasses(self):
        self.check(
            "import queue, threading\na, b, out = queue.Queue(), queue.Queue(), []\n"
            "class Stage(threading.Thread):\n    def __init__(self, source, put):\n        super().__init__()\n"
            "        self.source, self.put = source, put\n"
            "    def run(self):\n        while (item := self.source.get()) is not None:\n            self.put(item + 1)\n        self.put(None)\n"
            "ts = [Stage(b, out.append), Stage(a, b.put)]\n[t.start() for t in ts]\n"
            "import time; time.sleep(0.1)\nfor n in range(3): a.put(n)\na.put(None)\n[t.join() for t in ts]\nout",
            [2, 3, 4, None],
        )

    def test_event_set_later(self):
        self.check(
            "import threading, time\ngo, out = threading.Event(), []\n"
            "def f():\n    go.wait()\n    out.append('went')\n"
            "t = threading.Thread(target=f)\nt.start()\ntime.sleep(0.1)\nout.append('set')\ngo.set()\nt.join()\nout",
            ["set", "went"],
        )

    def test_variables_of_the_function_around_are_left_alone(self):
        self.check(
            "import threading, time\ndef main():\n    count = 0\n    go = threading.Event()\n    def f():\n        go.wait()\n"
            "        out.append(count)\n    t = threading.Thread(target=f)\n    t.start()\n    time.sleep(0.1)\n    count = 5\n    go.set()\n"
            "    t.join()\nout = []\nmain()\nout",
            [5],
        )

    def test_forgotten_at_the_end(self):
        outcome, _, stderr = run_apart(
            "import queue, threading, time\nq = queue.Queue()\ndef f():\n    q.get()\nthreading.Thread(target=f, name='w').start()\n"
            "time.sleep(0.1)\n1"
        )
        self.assertEqual({"result": 1}, outcome)
        self.assertEqual("exuvia: at the end of the program these threads were still waiting: w\n", stderr)

    def test_side_effects_are_not_repeated(self):
        outcome, _, stderr = run_apart(
            "import queue, threading, time\nq, calls = queue.Queue(), []\n"
            "def f():\n    print(calls.append(1), q.get())\nt = threading.Thread(target=f)\nt.start()\ntime.sleep(0.1)\nq.put(1)\n"
            "t.join()\nlen(calls)"
        )
        self.assertEqual({"result": 1}, outcome)
        self.assertIn("deadlock: Queue.get()", stderr)
