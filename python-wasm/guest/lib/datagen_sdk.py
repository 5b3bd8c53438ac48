"""DataGen's SDK, inside the sandbox: tools are called through the host, so no key or URL is needed."""

from exuvia_guest.host import HostError, PolicyDenied, ToolNotAvailable, request
from exuvia_guest.tools import _arguments

__all__ = ["DatagenAuthError", "DatagenClient", "DatagenError", "DatagenHttpError", "DatagenToolError"]
__version__ = "0.1.1"


class DatagenError(Exception):
    """What all errors of the SDK are."""


class DatagenAuthError(DatagenError):
    """This execution may not call the tool."""


class DatagenHttpError(DatagenError):
    """The host could not be asked."""


class DatagenToolError(DatagenError):
    """The tool failed."""


class DatagenClient:
    """`DatagenClient().execute_tool("mcp_Server_tool", {"argument": 1})`. What the constructor takes has no effect here."""

    def __init__(self, api_key=None, base_url=None, timeout=None, retries=0, backoff_seconds=0.5, **_):
        self.api_key, self.base_url, self.timeout = api_key, base_url, timeout

    def execute_tool(self, tool_alias, parameters=None):
        """Call a tool and return its result."""
        try:
            return request("call", **_arguments(tool_alias, (), dict(parameters or {})))
        except (ToolNotAvailable, PolicyDenied) as error:
            raise DatagenAuthError(str(error)) from error
        except HostError as error:
            kind = DatagenToolError if error.type.startswith("Tool") else DatagenHttpError
            raise kind(str(error)) from error
