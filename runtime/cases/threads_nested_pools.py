import time
from concurrent.futures import ThreadPoolExecutor

def inner(n):
    time.sleep(0.01)
    return n

def outer(n):
    with ThreadPoolExecutor(3) as pool:
        return sum(pool.map(inner, range(n)))

with ThreadPoolExecutor(3) as pool:
    print(list(pool.map(outer, range(6))))
