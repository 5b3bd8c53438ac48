"""Requests at once, with a limit on how many, streams and timeouts, under asyncio."""
import asyncio

import httpx

URL = "{URL}"


async def main():
    limit = asyncio.Semaphore(3)
    async with httpx.AsyncClient(base_url=URL, timeout=5) as client:

        async def one(n):
            async with limit:
                answer = await client.post(f"/item/{n}", json={"n": n})
                return answer.json()["body"]

        print(await asyncio.gather(*(one(n) for n in range(8))))

        async def parts():
            for n in range(3):
                yield b"part%d " % n
                await asyncio.sleep(0)

        print((await client.post("/stream", content=parts())).json()["body"])
        async with client.stream("GET", "/chunks") as response:
            print([line async for line in response.aiter_lines()])
        async with client.stream("GET", "/bytes/500000") as response:
            print(sum([len(part) async for part in response.aiter_bytes()]))
        try:
            await client.get("/silent", timeout=0.2)
        except httpx.ReadTimeout as error:
            print(type(error).__name__)
        try:
            async with asyncio.timeout(0.2):
                await client.get("/silent")
        except TimeoutError:
            print("asyncio's own timeout")
        slow = asyncio.create_task(client.get("/silent"))
        await asyncio.sleep(0.05)
        slow.cancel()
        print((await asyncio.gather(slow, client.get("/after"), return_exceptions=True))[1].json()["path"])


asyncio.run(main())
