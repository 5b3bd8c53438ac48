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


def start(message):
    """Begin the effect in `message` (bytes); its handle."""
    handle = _exuvia.start(message)
    if handle >= 0:
        return handle
    if handle == TOO_MANY:
        raise HostError("TooManyEffects", "too many calls are under way at once: wait for some, or use fewer workers")
    raise HostError("TooLarge", f"the message is too large ({len(message)} bytes)")


def value(answer):
    """The value in an answer (bytes). Raises the HostError in it."""
    answer = json.loads(answer)
    if "error" in answer:
        error = answer["error"]
        raise HostError(error.get("type", ""), error.get("message", ""))
    return answer.get("ok")
