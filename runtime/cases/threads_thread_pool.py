from multiprocessing.pool import ThreadPool
from multiprocessing.dummy import Pool
with ThreadPool(4) as pool:
    print(pool.map(lambda x: x * x, range(5)), pool.starmap(pow, [(2, 3), (3, 2)]), pool.apply(len, ("abc",)))
    print(list(pool.imap(str, range(3))), sorted(pool.imap_unordered(str, range(3))), pool.map_async(abs, [-1]).get(timeout=5))
with Pool(2) as pool:
    print(pool.map(len, ["a", "bb"]))
