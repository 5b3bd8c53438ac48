import time
from concurrent.futures import ThreadPoolExecutor, TimeoutError, wait
pool = ThreadPoolExecutor(2)
futures = [pool.submit(time.sleep, 0.05), pool.submit(len, "abc")]
done, not_done = wait(futures)
print(len(done), len(not_done), futures[1].result(timeout=1), futures[0].done())
pool.shutdown()
try:
    pool.submit(len, "x")
except RuntimeError as error:
    print(error)
