"""Runs one program: message in, outcome out (guest/ABI.md).

This is the hot path: `print(1)` should cost little more than its own compilation. So nothing is imported, parsed or
converted that the program did not ask for, and an outcome that says nothing is empty.
"""

import builtins
import json
import linecache
import sys
from types import ModuleType

import _exuvia
from exuvia_guest import ending, errors, figures, html, sessions, tools
from exuvia_guest.convert import Conversion, dumps
from exuvia_guest.source import compile_program

DEFAULT_NAME = "script.py"
# Where the host puts the packages of a run.
LAYER = "/packages"
# Most names, and most characters of one, that an outcome lists for advice.
MOST_NAMES = 200
LONGEST_NAME = 100


def run(message):
    """Run the program in `message` (bytes) and hand its outcome to the host."""
    length = int.from_bytes(message[:4], "little")
    source = message[4 : 4 + length].decode()
    rest = message[4 + length :]
    name, inputs, further, wanted, in_session = _parameters(rest) if rest else (DEFAULT_NAME, {}, {}, (), False)
    if name is not DEFAULT_NAME:
        sys.argv[0] = name
    if source[:1] == "\ufeff":
        source = source[1:]

    module, file = sessions.begin(name) if in_session else (ModuleType("__main__"), name)
    names = module.__dict__
    names["__builtins__"] = builtins
    names["__file__"] = name
    if "mcp_" in source:
        tools.bind(source, names)
    names.update(inputs)
    names["input_vars"] = inputs
    names.update(further)
    sys.modules["__main__"] = module
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)

    value = None
    error = None
    status = 0
    try:
        head, tail = compile_program(source, file)
        if head is not None:
            exec(head, names)
        if tail is not None:
            value = eval(tail, names)
            if figures.Figure is not None and isinstance(value, figures.Figure):
                figures.keep(value)
    except SystemExit as exit:
        status = ending.status(exit)
    except BaseException as raised:
        error = errors.describe(raised, file)
    if in_session:
        ending.finish_call()
    else:
        ending.finish_threads_and_output()
    if value is None and error is None and not status and not wanted:
        _exuvia.finish(b"")
    else:
        _finish(value, names, wanted, error, status)


def _parameters(rest):
    parameters = json.loads(rest)
    name = parameters.get("name") or DEFAULT_NAME
    if parameters.get("packages") and LAYER not in sys.path:
        # At the end: no package takes the place of the standard library, of this one, or of what is built in.
        sys.path.append(LAYER)
    further = parameters.get("globals") or {}
    return name, parameters.get("inputs") or {}, further, parameters.get("outputs") or (), parameters.get("session", False)


def _own_names(names):
    """What the program itself set at its top level: for advice on a name that it did not set."""
    own = [name for name in names if type(name) is str and not name.startswith("_") and name not in ("input_vars",)]
    return [name for name in own if type(names[name]) not in (ModuleType, tools.Tool) and len(name) <= LONGEST_NAME][:MOST_NAMES]


def _finish(value, names, wanted, error, status):
    """Convert what is asked for. Conversion may run the program's own code (`__repr__`), so output is flushed again."""
    conversion = Conversion()
    parts = []
    if value is not None:
        parts.append('"result":' + conversion.to_json(value, "result"))
        rendered = html.render(value)
        if rendered is not None:
            parts.append('"html":' + dumps(rendered))
    outputs = [name for name in wanted if name in names]
    if outputs:
        pairs = (dumps(name) + ":" + conversion.to_json(names[name], "outputs." + name) for name in outputs)
        parts.append('"outputs":{' + ",".join(pairs) + "}")
    missing = [name for name in wanted if name not in names]
    if missing:
        parts.append('"missing":' + dumps(missing))
        parts.append('"names":' + dumps(_own_names(names)))
    if conversion.reprs:
        parts.append('"reprs":' + dumps(conversion.reprs))
    if error is not None:
        parts.append('"error":' + dumps(error))
    if status:
        parts.append('"exit":%d' % status)
    ending.flush()
    message = "{" + ",".join(parts) + "}"
    try:
        encoded = message.encode()
    except UnicodeEncodeError:
        # Lone surrogates have no UTF-8, and are no valid JSON when escaped.
        encoded = message.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
    _exuvia.finish(encoded)
