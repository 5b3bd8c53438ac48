import time
from concurrent.futures import ThreadPoolExecutor
now = most = 0

def work(n):
    global now, most
    now += 1
    most = max(most, now)
    time.sleep(0.01)
    now -= 1

with ThreadPoolExecutor(max_workers=3) as pool:
    list(pool.map(work, range(10)))
print(most)
