"""What runs inside the sandbox: `boot.boot()` before the snapshot, `run()` once per program.

`guest/ABI.md` is the contract with the host; the built-in module `_exuvia` (guest/shim.c) carries it.
"""


def __getattr__(name):
    # Not imported at the top: `boot` must replace parts of the interpreter before anything else is imported.
    if name == "run":
        from exuvia_guest.program import run

        return run
    raise AttributeError(f"module 'exuvia_guest' has no attribute {name!r}")
