import threading
from concurrent.futures import ThreadPoolExecutor
local = threading.local()

def prepare(value):
    local.value = value

def work(n):
    return local.value + n, threading.current_thread().name

with ThreadPoolExecutor(1, thread_name_prefix="w", initializer=prepare, initargs=(10,)) as pool:
    print(list(pool.map(work, range(3))), hasattr(local, "value"))
