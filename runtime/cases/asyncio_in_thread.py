import asyncio, threading

async def small(n):
    await asyncio.sleep(0.01)
    return n

async def main():
    return await asyncio.to_thread(lambda: asyncio.run(small(5))), await small(6)

print(asyncio.run(main()))
thread = threading.Thread(target=lambda: print(asyncio.run(small(7))))
thread.start(); thread.join()
