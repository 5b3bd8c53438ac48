"""What CPython does when a program ends: join threads, run exit callbacks, flush; without ever finalising."""

import atexit
import logging
import sys

from exuvia_guest import figures, parking, scheduler

# Kept because a program may replace or close `sys.stdout`.
_STDOUT = sys.stdout
_STDERR = sys.stderr
# Of a 64-bit machine, as programs are written for.
SMALLEST_LONG, LARGEST_LONG = -(2**63), 2**63 - 1


def status(exit):
    """The exit status of a SystemExit, as `python script.py` would end; a message is printed to stderr."""
    try:
        code = exit.code
        if code is None:
            return 0
        if isinstance(code, int):
            # A process's status is one byte; what does not fit a C long is -1 to CPython.
            return int.__and__(code, 0xFF) if SMALLEST_LONG <= code <= LARGEST_LONG else 0xFF
        print(code, file=sys.stderr)
    except BaseException:
        # The exception, or what it carries, is an object of the program's own.
        pass
    return 1


def finish_threads_and_output():
    """Run what is still to be run, then flush. Nothing here changes what the program's outcome is."""
    if scheduler.has_queued():
        try:
            scheduler.run_remaining()
        except BaseException as raised:
            _report(raised)
    if atexit._ncallbacks():
        # Errors in callbacks are printed by atexit itself.
        atexit._run_exitfuncs()
        if scheduler.has_queued():
            scheduler.run_remaining()
    if scheduler.parked:
        parking.report_forgotten()
    if figures.opened:
        figures.keep_open()
    if logging._handlerList:
        # Boot cleared atexit, and with it logging's own callback.
        logging.shutdown()
    flush()


def finish_call():
    """The end of one call of a session, which is no end of the program: exit callbacks are not run, handlers stay open, and threads
    that still wait go on when a later call waits. Figures are closed, as at the end of a notebook's cell."""
    if scheduler.has_queued():
        try:
            scheduler.run_remaining()
        except BaseException as raised:
            _report(raised)
    if figures.opened:
        figures.keep_open()
    figures.close()
    for reference in logging._handlerList[:]:
        handler = reference()
        if handler is not None:
            _flush(handler)
    flush()


def renew_streams():
    """The standard streams as a program finds them, whatever an earlier call of the session has put in their place."""
    global _STDOUT, _STDERR
    if _STDOUT.closed:
        _STDOUT = _stream(1, "<stdout>")
    if _STDERR.closed:
        _STDERR = _stream(2, "<stderr>")
    sys.stdout = sys.__stdout__ = _STDOUT
    sys.stderr = sys.__stderr__ = _STDERR
    sys.stdin = sys.__stdin__


def _stream(descriptor, name):
    stream = open(descriptor, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)
    stream.buffer.raw.name = name
    return stream


def flush():
    """Flush the standard streams, and what the program put in their place."""
    _flush(_STDOUT)
    _flush(_STDERR)
    if sys.stdout is not _STDOUT:
        _flush(sys.stdout)
    if sys.stderr is not _STDERR:
        _flush(sys.stderr)


def _flush(stream):
    try:
        stream.flush()
    except BaseException:
        # Closed, None, or an object of the program's own.
        pass


def _report(raised):
    try:
        sys.__excepthook__(type(raised), raised, raised.__traceback__)
    except BaseException:
        pass
