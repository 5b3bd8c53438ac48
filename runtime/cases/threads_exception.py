import sys, threading
sys.stderr = sys.stdout

def fail():
    raise ValueError("in thread")

thread = threading.Thread(target=fail, name="worker-1")
try:
    raise KeyError("outer")
except KeyError:
    thread.start()
    thread.join()
