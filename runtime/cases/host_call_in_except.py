import exuvia
from concurrent.futures import ThreadPoolExecutor
pool = ThreadPoolExecutor(2)
future = pool.submit(exuvia.call, "fail")
try:
    raise KeyError("outer")
except KeyError:
    exuvia.call("slow", seconds=0.01)
print(repr(future.exception()), future.exception().__context__)
