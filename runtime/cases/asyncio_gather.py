import asyncio, time

async def work(n):
    await asyncio.sleep(0.1)
    return n

async def main():
    return await asyncio.gather(*(work(n) for n in range(20)))

start = time.monotonic()
values = asyncio.run(main())
print(0.1 <= time.monotonic() - start < 0.5)
values
