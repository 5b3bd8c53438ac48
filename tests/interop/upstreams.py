"""Programs call the tools of real servers: files, memory, time, git, and everything. The client is the Python SDK of MCP."""

import asyncio
import os
import pathlib
import subprocess

from mcp import Client
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

from checks import Checks, holds, same

checks = Checks("upstreams")
work = pathlib.Path(os.environ["INTEROP_WORK"])

JOIN = """
import io
import pandas as pd

def table(name):
    answer = mcp_Files_read_text_file(path=f"{folder}/{name}")
    return pd.read_csv(io.StringIO(answer["content"]))

joined = table("orders.csv").merge(table("customers.csv"), on="customer")
totals = joined.groupby("city")["amount"].sum().sort_values(ascending=False)
mcp_Memory_create_entities(entities=[
    {"name": city, "entityType": "city", "observations": [f"orders for {amount}"]} for city, amount in totals.items()
])
totals.to_dict()
"""

FAILING = """
try:
    mcp_Everything_gzip_file_as_resource(name="x", data="ftp://nowhere")
except ToolError as error:
    caught = str(error)
caught
"""

SUMS = """
from concurrent.futures import ThreadPoolExecutor

def both(n):
    return mcp_Everything_get_sum(a=n, b=1), mcp_EverythingHttp_get_sum(a=n, b=1)

with ThreadPoolExecutor() as pool:
    sums = list(pool.map(both, range(10)))
[mine == other and mine.endswith(f"is {n + 1}.") for n, (mine, other) in enumerate(sums)], sums[0]
"""


class Exuvia:
    def __init__(self, client):
        self.client = client

    async def answer(self, script, **arguments):
        called = await self.client.call_tool("executeCode", {"script": script, **arguments})
        return called.structured_content

    async def result(self, script, **arguments):
        answer = await self.answer(script, **arguments)
        holds(answer["success"] is True, answer["error"])
        return answer["result"]


async def main():
    headers = {"x-api-key": os.environ["INTEROP_KEY"]}
    http = create_mcp_http_client(headers=headers)
    async with Client(streamable_http_client(os.environ["EXUVIA_URL"] + "/mcp", http_client=http)) as client:
        await suite(client)


async def suite(client):
    exuvia = Exuvia(client)
    with checks.check("all servers are connected"):
        listed = (await client.call_tool("listTools", {})).structured_content
        found = {server["name"]: server["status"] for server in listed["servers"]}
        names = ["Files", "Memory", "Time", "Git", "Everything", "EverythingHttp"]
        same(found, dict.fromkeys(names, "ready"))

    with checks.check("a program reads files, joins them with pandas, and stores the result"):
        given = {"folder": str(work / "files")}
        totals = await exuvia.result(JOIN, input_vars=given, mcp_server_names=["Files", "Memory"])
        same(totals, {"Berlin": 35, "Lyon": 7})
    with checks.check("another program finds what was stored"):
        graph = await exuvia.result("mcp_Memory_search_nodes(query='Berlin')")
        same([entity["observations"] for entity in graph["entities"]], [["orders for 35"]])
    with checks.check("a file outside the folder is the server's own refusal"):
        error = (await exuvia.answer("mcp_Files_read_text_file(path='/etc/passwd')"))["error"]
        same(error["type"], "ToolError")
        holds("outside allowed directories" in error["message"], error["message"])

    with checks.check("time: converts between zones"):
        script = "mcp_Time_convert_time(source_timezone='UTC', time='12:00', target_timezone='Asia/Tokyo')"
        converted = await exuvia.result(script)
        holds("T21:00" in converted["target"]["datetime"], converted)
    with checks.check("git: reads the log of a repository"):
        log = await exuvia.result("mcp_Git_git_log(repo_path=folder)", input_vars={"folder": str(work / "repository")})
        holds("a first commit" in str(log), log)

    with checks.check("everything: calls in a pool, over standard input and over HTTP"):
        equal, first = await exuvia.result(SUMS)
        holds(all(equal), first)
    for server in ["Everything", "EverythingHttp"]:
        with checks.check(f"everything: {server} answers structured content and images"):
            weather = await exuvia.result(f"mcp_{server}_get_structured_content(location='Chicago')")
            holds("temperature" in weather, weather)
            image = await exuvia.result(f"mcp_{server}_get_tiny_image()")
            holds("image" in [block["type"] for block in image], image)
        with checks.check(f"everything: a failing tool of {server} raises ToolError, which a program catches"):
            caught = await exuvia.result(FAILING.replace("Everything", server))
            holds(f"mcp_{server}_gzip_file_as_resource" in caught and "Unsupported URL protocol" in caught, caught)
    with checks.check("everything: a long operation reports and ends"):
        script = "mcp_Everything_trigger_long_running_operation(duration=1, steps=2)"
        holds("completed" in await exuvia.result(script), script)
    with checks.check("progress reaches a client that asked for it"):
        told = []

        async def report(progress, total, message):
            told.append(message)

        arguments = {"script": "1 + 1"}
        await client.call_tool("executeCode", arguments, progress_callback=report)
        holds(told and "has begun" in told[0], told)

    with checks.check("`exuvia mcp test` prints the tools of all servers"):
        command = [os.environ["EXUVIA"], "mcp", "test", "--mcp-config", work / "mcp.json"]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
        same(ran.returncode, 0)
        for tool in ["Files_read_text_file", "Memory_create_entities", "Time_get_current_time", "Git_git_log",
                     "Everything_echo", "EverythingHttp_get_sum"]:
            holds(f"  mcp_{tool}(" in ran.stdout, ran.stdout)
    with checks.check("`exuvia mcp test` says why a server cannot be reached"):
        (work / "broken.json").write_text('{"mcpServers": {"Broken": {"command": "/nowhere"}}}')
        command = [os.environ["EXUVIA"], "mcp", "test", "--mcp-config", work / "broken.json"]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
        holds(ran.returncode != 0 and "/nowhere" in ran.stdout + ran.stderr, ran)


asyncio.run(main())
checks.end()
