"""`exuvia_progress(0.4, "step")`: a program says how far it is, for whoever asks for its status."""

import builtins
import math

from exuvia_guest import host


def exuvia_progress(fraction, step=None):
    """Say that the program is so far (0 to 1), and what it does now."""
    fraction = float(fraction)
    if not math.isfinite(fraction) or not 0 <= fraction <= 1:
        raise ValueError(f"the fraction is {fraction}: give a number from 0 to 1")
    try:
        host.request("progress", fraction=fraction, step=None if step is None else str(step))
    except host.HostError as refusal:
        # Where nobody asks, there is nobody to tell.
        if refusal.type != "NotGranted":
            raise


def install():
    builtins.exuvia_progress = exuvia_progress
