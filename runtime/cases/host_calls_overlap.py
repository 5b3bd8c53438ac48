import asyncio, time
from concurrent.futures import ThreadPoolExecutor
import exuvia

start = time.monotonic()
with ThreadPoolExecutor() as pool:
    answers = list(pool.map(lambda n: exuvia.call("slow", seconds=0.2, n=n)["n"], range(10)))
print(answers, time.monotonic() - start < 0.6)

async def main():
    return await asyncio.gather(*(exuvia.call_async("slow", seconds=0.2, n=n) for n in range(10)))

start = time.monotonic()
print([answer["n"] for answer in asyncio.run(main())], time.monotonic() - start < 0.6)
