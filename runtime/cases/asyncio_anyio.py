import anyio

async def main():
    log = []
    async with anyio.create_task_group() as group:
        for n in range(3):
            group.start_soon(anyio.sleep, 0.01)
        log.append(await anyio.to_thread.run_sync(len, "abc"))
        log.append(await anyio.to_thread.run_sync(len, "abcd"))
    with anyio.move_on_after(0.01):
        await anyio.sleep(5)
    print(log)

anyio.run(main)
