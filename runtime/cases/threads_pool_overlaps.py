import time
from concurrent.futures import ThreadPoolExecutor

def work(n):
    time.sleep(0.5)
    return n * n

start = time.monotonic()
with ThreadPoolExecutor() as pool:
    squares = list(pool.map(work, range(20)))
print(time.monotonic() - start < 1)
squares
