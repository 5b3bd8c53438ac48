"""Tools of MCP servers as functions: `mcp_<Server>_<tool>(name=value)`.

A program is given a function for each such name that its source mentions, known or not. So a thousand tools cost nothing at
the start, and one that does not exist says so when it is called, with the names that do. What a tool takes is asked of the
host when somebody looks at it (`help`, `inspect.signature`).
"""

import builtins
import inspect
import json
import re

from exuvia_guest import host
from exuvia_guest.convert import Conversion

_NAMES = re.compile(r"\bmcp_\w+")


class Tool:
    """One tool. Call it with its arguments; the result is already parsed."""

    __slots__ = ("__name__", "__qualname__", "_described", "__weakref__")

    def __init__(self, name):
        self.__name__ = self.__qualname__ = name
        self._described = None

    def __call__(self, /, *args, **kwargs):
        return host.request("call", **_arguments(self.__name__, args, kwargs))

    @property
    def __signature__(self):
        parameters = [_parameter(one) for one in self._describe()["parameters"]]
        # In the order of positional arguments, where one without a default may follow one that has it.
        return inspect.Signature(parameters, __validate_parameters__=False)

    @property
    def __doc__(self):
        return self._describe()["doc"]

    def _describe(self):
        if self._described is None:
            self._described = host.request("describe", name=self.__name__)
        return self._described

    def __repr__(self):
        return f"<tool {self.__name__}>"

    def __reduce__(self):
        return Tool, (self.__name__,)


def bind(source, names):
    """Set a function for every tool that the source mentions; called before the inputs are set, which win. What an earlier call of
    the session has given such a name wins, too, unless it is a tool: that may have changed since."""
    for name in set(_NAMES.findall(source)):
        if name not in names or type(names[name]) is Tool:
            names[name] = Tool(name)


def _arguments(name, args, kwargs):
    """The message's fields, of values that JSON can say."""
    fields = {"name": name}
    if args:
        fields["positional"] = args
    if kwargs:
        fields["args"] = kwargs
    try:
        json.dumps(fields, allow_nan=False)
    except (TypeError, ValueError):
        # NumPy's numbers, dates, frames: as they become in a result.
        for key in ("positional", "args"):
            if key in fields:
                fields[key] = _converted(name, fields[key])
    return fields


def _converted(name, values):
    conversion = Conversion()
    converted = conversion.convert(values, "", 0)
    if conversion.reprs:
        path = conversion.reprs[0].lstrip(".") or "arguments"
        raise host.ToolArgumentError("ToolArgumentError", f"`{name}`: the argument `{path}` has no form in JSON, or is too large")
    return converted


def _parameter(described):
    # The host gives names that are fit for Python.
    default = inspect.Parameter.empty if described["required"] else described.get("default")
    return inspect.Parameter(
        described["name"],
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        default=default,
        annotation=described.get("annotation") or inspect.Parameter.empty,
    )


def install():
    # Programs catch them by name, as they would their own.
    for error in (host.ToolError, host.ToolNotAvailable, host.ToolArgumentError, host.ToolInDoubt, host.PolicyDenied):
        setattr(builtins, error.__name__, error)
