from concurrent.futures import ThreadPoolExecutor, as_completed

def work(n):
    if n == 2:
        raise ValueError(f"bad {n}")
    return n

with ThreadPoolExecutor(2) as pool:
    futures = {pool.submit(work, n): n for n in range(4)}
    for future in sorted(as_completed(futures), key=futures.get):
        try:
            print(future.result())
        except ValueError as error:
            print("error", error, error.__context__)
