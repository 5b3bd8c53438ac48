import asyncio

async def main():
    queue, event, log = asyncio.Queue(), asyncio.Event(), []

    async def consume():
        while (item := await queue.get()) is not None:
            log.append(item)
        event.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(consume())
        for n in range(3):
            await queue.put(n)
            await asyncio.sleep(0)
        await queue.put(None)
    await event.wait()
    try:
        async with asyncio.timeout(0.02):
            await asyncio.sleep(10)
    except TimeoutError:
        log.append("timeout")
    try:
        await asyncio.wait_for(asyncio.Event().wait(), 0.02)
    except TimeoutError:
        log.append("wait_for")
    print(log)

asyncio.run(main())
