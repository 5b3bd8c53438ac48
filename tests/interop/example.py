"""README's example of the outside world, as it is typed there: an API on loopback with a key that the program never has, a package that
is not built in, and a picture, which a client of the MCP SDK is shown."""

import asyncio
import base64
import os
import pathlib
import re
import subprocess
import sys

from mcp import Client
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

from checks import Checks, holds, same

KEY = "a-key-that-no-program-has-7fd1"
checks = Checks("example")
exuvia = os.environ["EXUVIA"]
examples = pathlib.Path(__file__).parents[2] / "examples"
folder = pathlib.Path(os.environ["INTEROP_WORK"]) / "example"
folder.mkdir()
children = []


def address(name, command, environment=()):
    """What a program prints that it listens at."""
    environment = {**os.environ, **dict(environment)}
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder, env=environment)
    children.append(child)
    for line in child.stdout:
        if found := re.search(r"http://\S+", line):
            return found[0]
    raise SystemExit(f"{name} did not start: {child.wait()}")


def written(start):
    return b"".join(path.read_bytes() for path in start.rglob("*") if path.is_file())


async def main():
    wheels = folder / "wheels"
    fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--dest", wheels, "squarify==0.4.5"]
    subprocess.run(fetch, check=True)
    api = address("the API", [sys.executable, examples / "shop_api.py"], {"SHOP_KEY": KEY, "PORT": "0"}.items())
    port = re.search(r":(\d+)/", api)[1]
    policy = folder / "policy.json"
    policy.write_text((examples / "outside.json").read_text().replace("8899", port))
    uv = os.path.join(os.environ["INTEROP_PLACE"], "venv/bin/uv")
    (folder / "exuvia.toml").write_text(f'[packages]\nuv = "{uv}"\nindex = "{wheels}"\n')
    data = folder / "data"
    subprocess.run([exuvia, "secrets", "set", "SHOP_KEY", "--data", data], input=KEY, text=True, check=True, stdout=subprocess.DEVNULL)
    serve = ["serve", "--config", folder / "exuvia.toml", "--policy", policy, "--data", data, "--listen", "127.0.0.1:0"]
    url = address("exuvia", [exuvia, *serve])
    async with Client(streamable_http_client(url, http_client=create_mcp_http_client())) as client:
        script = (examples / "treemap.py").read_text().replace("8899", port)
        await suite(client, script)
        command_line(url.removesuffix("/mcp"), script)
    with checks.check("the key is in nothing that the server wrote"):
        holds(KEY.encode() not in written(data), "it is")
    checks.end()


async def suite(client, script):
    arguments = {"script": script, "required_secrets": ["SHOP_KEY"], "additional_imports": ["squarify"]}
    answer = await client.call_tool("executeCode", arguments)
    given = answer.structured_content
    with checks.check("the program was answered, by an API that wants the key"):
        same(given["error"], None)
        same(given["result"]["kettle"], 1273.3)
    with checks.check("it never had the key"):
        holds(re.search(r"has it: exs_\w{40}\n", given["stdout"]), given["stdout"])
        holds(KEY not in answer.model_dump_json(), "the key is in the answer")
    with checks.check("the client is shown the picture"):
        pictures = [block for block in answer.content if block.type == "image"]
        same([picture.mime_type for picture in pictures], ["image/png"])
        holds(base64.b64decode(pictures[0].data).startswith(b"\x89PNG\r\n"), pictures[0].data[:40])
        same([file["name"] for file in given["artifacts"]], ["figure-1.png"])
    for name, without in (("the secret", "required_secrets"), ("the package", "additional_imports")):
        with checks.check(f"without {name} it fails, and says so"):
            rest = {key: value for key, value in arguments.items() if key != without}
            error = (await client.call_tool("executeCode", rest)).structured_content["error"]
            same(error["type"], {"required_secrets": "NameError", "additional_imports": "ModuleNotFoundError"}[without])


def command_line(url, script):
    (folder / "treemap.py").write_text(script)

    def ran(*command):
        return subprocess.run([exuvia, *command, "--url", url], capture_output=True, text=True, timeout=120, cwd=folder)

    with checks.check("the same by `exuvia submit`, and the picture by `exuvia files get`"):
        uuid = ran("submit", "treemap.py", "--secret", "SHOP_KEY", "--with", "squarify").stdout.strip()
        followed = ran("status", uuid, "--follow")
        holds(followed.returncode == 0 and "has it: exs_" in followed.stdout, followed)
        same(ran("files", "get", uuid, "figure-1.png").returncode, 0)
        holds((folder / "figure-1.png").read_bytes().startswith(b"\x89PNG\r\n"), "it is no PNG")


try:
    asyncio.run(main())
finally:
    for child in children:
        child.kill()
