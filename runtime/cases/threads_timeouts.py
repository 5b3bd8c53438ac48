import queue, threading, time
start = time.monotonic()
print(threading.Event().wait(0.02), threading.Lock().acquire(timeout=0.01), threading.Condition().acquire(timeout=1))
try:
    queue.Queue().get(timeout=0.02)
except queue.Empty:
    print("empty")
print(0.04 <= time.monotonic() - start < 0.3)
