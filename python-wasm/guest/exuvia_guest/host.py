"""Asking the host: effects begun, waited for and answered (guest/ABI.md)."""

import json

import _exuvia
from exuvia_guest import scheduler

TOO_MANY = -1
TOO_LARGE = -2


class HostError(Exception):
    """The host refused or failed an effect. `type` says which way, `message` why."""

    def __init__(self, type, message):
        super().__init__(message)
        self.type = type
        self.message = message

    def __str__(self):
        return f"{self.type}: {self.message}" if self.type else self.message


class ToolError(HostError):
    """A tool failed; the message is its own."""

    def __str__(self):
        return self.message


class ToolNotAvailable(ToolError):
    """There is no such tool, or this execution may not call it."""


class ToolArgumentError(ToolError, TypeError):
    """A tool's arguments are not those that it takes."""


class ToolInDoubt(ToolError):
    """The server died in the middle of the call: it may have happened, or not. Look before calling again."""


class PolicyDenied(ToolError):
    """The operator's policy refuses the call. `rule` says which of its rules, `retry_after_s` when it may pass, if ever."""

    rule = reason = retry_after_s = None


_BY_TYPE = {kind.__name__: kind for kind in (ToolError, ToolNotAvailable, ToolArgumentError, ToolInDoubt, PolicyDenied)}
for _kind in _BY_TYPE.values():
    # As programs and tracebacks know them.
    _kind.__module__ = "builtins"


def request(op, **fields):
    """Ask the host to do `op`, wait, and return its value. Raises HostError."""
    return value(scheduler.wait_answer(begin(op, fields)))


def begin(op, fields):
    """Begin an effect; its handle."""
    fields["op"] = op
    try:
        message = json.dumps(fields, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError) as cause:
        raise HostError("InvalidArguments", f"the arguments of `{op}` cannot be written as JSON: {cause}") from None
    return start(message)


def message(op, fields, tail=None):
    """The message of an effect: JSON, and bytes behind it if there are any."""
    fields["op"] = op
    json_text = _encode(fields).encode()
    return json_text if tail is None else b"".join((json_text, b"\0", tail))


_encode = json.JSONEncoder(ensure_ascii=True, check_circular=False, separators=(",", ":")).encode


def start(message):
    """Begin the effect in `message` (bytes); its handle."""
    handle = _exuvia.start(message)
    if handle >= 0:
        return handle
    if handle == TOO_MANY:
        raise HostError("TooManyEffects", "too many calls are under way at once: wait for some, or use fewer workers")
    raise HostError("TooLarge", f"the message is too large ({len(message)} bytes)")


def _raised(kind, error):
    raised = _BY_TYPE.get(kind, HostError)(kind, error.get("message", ""))
    if kind == "PolicyDenied":
        for field in ("rule", "reason", "retry_after_s"):
            setattr(raised, field, error.get(field))
    return raised


def parts(answer):
    """The value in an answer (bytes), and the bytes behind its JSON. Raises the HostError in it."""
    json_text, _, tail = answer.partition(b"\0")
    return value(json_text), tail


def value(answer):
    """The value in an answer (bytes). Raises the HostError in it."""
    answer = json.loads(answer)
    if "error" in answer:
        error = answer["error"]
        kind = error.get("type", "")
        raise _raised(kind, error)
    text = answer.get("text")
    if text is not None:
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return answer.get("ok")
