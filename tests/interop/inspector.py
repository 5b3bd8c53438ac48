"""The MCP Inspector lists and calls every tool, over HTTP and over standard input."""

import json
import os
import pathlib
import subprocess

from checks import Checks, holds, same

checks = Checks("inspector")
place = pathlib.Path(os.environ["INTEROP_PLACE"])
work = pathlib.Path(os.environ["INTEROP_WORK"])
program = place / "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js"
everything = os.environ["EVERYTHING_URL"]

# Each tool, its arguments, and what its answer must have. `UUID` stands for the last submitted execution. A tool that the
# server has and that is not here fails, and so does one that is here and that the server does not have.
CALLS = [
    ("executeCode", {"script": "print('hi')\n1 + 1"}, {"success": True, "result": 2, "stdout": "hi\n"}),
    ("asyncExecuteCode", {"script": "40 + 2"}, {"success": True}),
    ("checkCodeExecStatus", {"execution_uuid": "UUID", "wait_seconds": 60}, {"status": "completed", "result": 42}),
    ("cancelCodeExec", {"execution_uuid": "UUID"}, "UUID"),
    ("listCodeExecs", {"status": "completed"}, "UUID"),
    ("searchTools", {"query": "echo"}, "mcp_Everything_echo"),
    ("getToolDetails", {"tool_name": "mcp_Everything_echo"}, {"name": "mcp_Everything_echo", "server": "Everything"}),
    ("listTools", {}, "mcp_Everything_get_sum"),
    ("executeTool", {"tool_alias_name": "mcp_Everything_echo", "parameters": {"message": "x"}}, {"result": "Echo: x"}),
    ("addRemoteMcpServer", {"server_name": "Added", "server_url": everything}, {"status": "ready"}),
    ("updateRemoteMcpServer", {"server_name": "Added"}, {"status": "ready"}),
    # This server wants no authorization, and the flow was never begun: errors that say so.
    ("ReAuthRemoteMcpServer", {"server_name": "Added"}, "error: the authorization of `Added` failed: "),
    ("checkRemoteMcpOauthStatus", {"flow_id": "none"}, "error: there is no flow `none`"),
    ("removeRemoteMcpServer", {"server_name": "Added"}, {"success": True}),
    ("getUserSecrets", {}, {"secrets": []}),
]


class Failed(Exception):
    """A tool's error, as the Inspector shows it."""


class Inspector:
    def __init__(self, transport):
        key = ["--header", f"x-api-key: {os.environ['INTEROP_KEY']}"]
        http = [os.environ["EXUVIA_URL"] + "/mcp", "--transport", "http", *key]
        stdio = ["--", os.environ["EXUVIA"], "serve", "--stdio", "--data", str(work / "stdio")]
        stdio += ["--mcp-config", str(work / "stdio.json"), "--policy", str(work / "policy.json")]
        self.before, self.after = {"http": (http, []), "stdio": ([], stdio)}[transport]

    def ask(self, method, *arguments):
        command = [os.environ["NODE"], program, "--cli", "-q", *self.before, "--method", method, *arguments]
        command += ["--format", "json", *self.after]
        environment = {**os.environ, "MCP_INSPECTOR_SECRET_STORE": "memory", "EXUVIA_LOG": "error"}
        ran = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
        (work / "inspector.log").open("a").write(f"{command}\n{ran.stdout}\n{ran.stderr}\n")
        # 5: the tool answered that it failed.
        if ran.returncode not in (0, 5):
            raise AssertionError(f"it ended with {ran.returncode}: {ran.stderr.strip()[-500:]}")
        return json.loads(ran.stdout)["result"]

    def call(self, tool, arguments):
        result = self.ask("tools/call", "--tool-name", tool, "--tool-args-json", json.dumps(arguments))
        text = result["content"][0]["text"]
        if result.get("isError"):
            return f"error: {text}"
        same(json.loads(text), result["structuredContent"])
        return result["structuredContent"]


def answers(given, expected):
    if isinstance(expected, str):
        text = given if isinstance(given, str) else json.dumps(given)
        holds(text.startswith(expected) if expected.startswith("error: ") else expected in text, text[:500])
    else:
        holds(isinstance(given, dict), given)
        same({name: given.get(name) for name in expected}, expected)


for transport in ["http", "stdio"]:
    inspector = Inspector(transport)
    tools = []
    with checks.check(f"{transport}: lists the tools, all of which this suite calls"):
        # Strict: it fails when a client of some vendor could not take a schema.
        tools = [tool["name"] for tool in inspector.ask("tools/list", "--strict")["tools"]]
        same(tools, [tool for tool in tools if tool in {name for name, _, _ in CALLS}])
        same(sorted(tools), sorted(name for name, _, _ in CALLS))
    uuid = "none"
    for tool, arguments, expected in CALLS:
        with checks.check(f"{transport}: {tool}"):
            arguments = {name: uuid if value == "UUID" else value for name, value in arguments.items()}
            given = inspector.call(tool, arguments)
            if tool == "asyncExecuteCode":
                uuid = given["execution_uuid"]
            answers(given, uuid if expected == "UUID" else expected)
    with checks.check(f"{transport}: a script that raises is an error with its traceback"):
        given = inspector.call("executeCode", {"script": "1 / 0"})
        holds(isinstance(given, str) and "ZeroDivisionError" in given, given)
    with checks.check(f"{transport}: reads the guide, and the prompt with it"):
        [resource] = inspector.ask("resources/list")["resources"]
        [guide] = inspector.ask("resources/read", "--uri", resource["uri"])["contents"]
        [prompt] = inspector.ask("prompts/list")["prompts"]
        given = inspector.ask("prompts/get", "--prompt-name", prompt["name"], "--prompt-args", "task=count to ten")
        text = given["messages"][0]["content"]["text"]
        holds(text.startswith("count to ten") and guide["text"] in text, text[:200])

checks.end()
