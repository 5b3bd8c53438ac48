"""Where a program stands: for a host that stops it at one of its effects, as `exuvia replay --until` does."""

import os

import _exuvia

# The error type of an answer that asks for it (guest/ABI.md).
STOPPED = "ReplayStopped"
# Most characters of the stack that are told: the innermost frames.
STACK_KEPT = 16 * 1024

# As in errors.py: the frames below it say nothing to the program's author.
_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def tell():
    """Tell the host the program's own frames, the outermost first, and wait for what it does about the run. No exception, which the
    program could catch: that would change what it does next."""
    # Not at the top: the scheduler imports this before the snapshot has its libraries.
    import json
    import traceback

    frames = [frame for frame in traceback.extract_stack() if not frame.filename.startswith(_OURS)]
    stack = "".join(traceback.format_list(frames))[-STACK_KEPT:]
    handle = _exuvia.start(json.dumps({"op": "stands", "stack": stack}).encode())
    if handle >= 0:
        _exuvia.wait((handle,))


def told(answer):
    """Look at the answer to a sleep, which is empty unless the host stops the program there."""
    if answer:
        tell()
