import asyncio, time

async def main():
    loop = asyncio.get_running_loop()
    calls = [asyncio.to_thread(time.sleep, 0.1) for _ in range(5)] + [loop.run_in_executor(None, time.sleep, 0.1), asyncio.sleep(0.1)]
    await asyncio.gather(*calls)

start = time.monotonic()
asyncio.run(main())
print(0.1 <= time.monotonic() - start < 0.3)
