"""The SDK that DataGen publishes calls a tool, and tells a tool's failure from the server's refusal."""

import os

from datagen_sdk import DatagenAuthError, DatagenClient, DatagenHttpError, DatagenToolError

from checks import Checks, holds, same

checks = Checks("sdk")
url = os.environ["EXUVIA_URL"]
client = DatagenClient(api_key=os.environ["INTEROP_KEY"], base_url=url)


def raised(error, call):
    try:
        answer = call()
    except error as raised:
        return str(raised)
    raise AssertionError(f"it answered {answer!r}")


with checks.check("a tool's text is its result"):
    same(client.execute_tool("mcp_Everything_echo", {"message": "hello"}), "Echo: hello")

with checks.check("a tool's structured content is its result"):
    weather = client.execute_tool("mcp_Everything_get_structured_content", {"location": "Chicago"})
    holds(isinstance(weather, dict) and "temperature" in weather, weather)

with checks.check("a tool's failure is a DatagenToolError"):
    call = lambda: client.execute_tool("mcp_Everything_gzip_file_as_resource", {"name": "x", "data": "ftp://nowhere"})
    message = raised(DatagenToolError, call)
    holds("Unsupported URL protocol" in message, message)

with checks.check("a tool that is not there is a DatagenToolError with the nearest names"):
    message = raised(DatagenToolError, lambda: client.execute_tool("mcp_Everything_ecco"))
    holds("mcp_Everything_echo" in message, message)

with checks.check("wrong parameters are a DatagenToolError that names the parameter"):
    message = raised(DatagenToolError, lambda: client.execute_tool("mcp_Everything_get_sum", {"a": 1}))
    holds("`b`" in message, message)

with checks.check("an unknown key is a DatagenAuthError"):
    stranger = DatagenClient(api_key="nobody's", base_url=url)
    message = raised(DatagenAuthError, lambda: stranger.execute_tool("mcp_Everything_echo", {"message": "hello"}))
    holds("not known here" in message, message)

with checks.check("a request that the server refuses is a DatagenHttpError"):
    message = raised(DatagenHttpError, lambda: client.execute_tool("mcp_Everything_echo", ["no", "names"]))
    holds(message.startswith("HTTP 4"), message)

checks.end()
