"""From an exception to the `error` of an outcome: the traceback that CPython would print, without our frames."""

import linecache
import os
import sys
import traceback

from exuvia_guest import hints

# /lib/exuvia/: the frames of everything below it are ours and say nothing to the program's author.
OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep

# Most characters of a traceback and of a message that are kept; the middle of a longer one is left out.
TRACEBACK_KEPT = 64 * 1024
MESSAGE_KEPT = 16 * 1024
TYPE_KEPT = 512


def describe(raised, name):
    """The fields of `error`. Always answers, whatever the exception's own methods do."""
    try:
        return _describe(raised, name)
    except BaseException:
        # Memory or stack ran out while formatting, or the exception is hostile.
        kind = type.__dict__["__name__"].__get__(type(raised))
        return {"type": kind[:TYPE_KEPT], "message": "", "traceback": kind[:TYPE_KEPT] + ": <the traceback could not be formatted>"}


def _describe(raised, name):
    _call_excepthook(raised)
    if isinstance(raised, SyntaxError) and raised.text is None and raised.filename == name:
        # The compiler, unlike the parser, takes the line from the file, and there is none.
        raised.text = linecache.getline(name, raised.lineno or 0) or None
    # Source lines are looked up when formatting, that is, not for frames that are stripped.
    formatted = traceback.TracebackException(
        type(raised), raised, raised.__traceback__, lookup_lines=False, compact=True
    )
    _strip(formatted, set())
    lines = "".join(formatted.format())
    message = _message(formatted)
    hint = hints.hint(raised, message)
    if hint:
        lines += "Hint: " + hint + "\n"
    error = {
        "type": formatted.exc_type_str[:TYPE_KEPT],
        "message": _shorten(message, MESSAGE_KEPT),
        "traceback": _shorten(lines, TRACEBACK_KEPT),
    }
    line = _line(raised, name)
    if line is not None:
        error["line"] = line
    return error


def _message(formatted):
    if formatted.exc_type_str == "SyntaxError" or formatted.exc_type_str.endswith(("IndentationError", "TabError")):
        return formatted.msg if getattr(formatted, "msg", None) else str(formatted)
    return str(formatted)


def _strip(formatted, seen):
    """Drop our frames from an exception, its causes and its group."""
    if formatted is None or id(formatted) in seen:
        return
    seen.add(id(formatted))
    if formatted.stack is not None:
        formatted.stack[:] = [frame for frame in formatted.stack if not frame.filename.startswith(OURS)]
        if not formatted.stack:
            # Without frames CPython prints no "Traceback (most recent call last)" line.
            formatted.stack = None
    _strip(formatted.__cause__, seen)
    _strip(formatted.__context__, seen)
    for member in formatted.exceptions or ():
        _strip(member, seen)


def _line(raised, name):
    """The innermost line of the script, or for a syntax error in the script itself, where it is."""
    line = None
    frame = raised.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == name:
            line = frame.tb_lineno
        frame = frame.tb_next
    if line is None and isinstance(raised, SyntaxError) and raised.filename == name:
        line = raised.lineno
    return line if type(line) is int else None


def _call_excepthook(raised):
    """A hook that the program installed is called as CPython would."""
    if sys.excepthook is not sys.__excepthook__:
        try:
            sys.excepthook(type(raised), raised, raised.__traceback__)
        except BaseException:
            pass


def _shorten(string, kept):
    if len(string) <= kept:
        return string
    half = kept // 2
    return f"{string[:half]}\n… {len(string) - 2 * half} characters left out …\n{string[-half:]}"
