"""Boots the guest under a native CPython 3.13, with the fake host, and runs programs in it."""

import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
GUEST = os.path.dirname(HERE)
sys.path[:0] = [GUEST, os.path.join(GUEST, "lib"), HERE]
sys.dont_write_bytecode = True

import fake_host  # noqa: E402

host = fake_host.install()
fork, waitpid, leave = os.fork, os.waitpid, os._exit


def start():
    """Boot the guest. Not done by the import of this module: the locks of imports are among what it replaces."""
    from exuvia_guest import boot

    boot.WORKING_FOLDER = tempfile.mkdtemp()
    boot.boot()


def run_program(source, **parameters):
    """Run one program in this interpreter; its outcome, {} when empty."""
    import json

    import exuvia_guest
    from exuvia_guest import scheduler

    encoded = source.encode()
    rest = json.dumps(parameters).encode() if parameters else b""
    host.outcome = None
    host.pending.clear()
    scheduler._known.clear()
    exuvia_guest.run(len(encoded).to_bytes(4, "little") + encoded + rest)
    return json.loads(host.outcome) if host.outcome else {}


def run_apart(source, **parameters):
    """Run one program in a process of its own: (outcome, stdout, stderr)."""
    import json

    folder = tempfile.mkdtemp()
    paths = [os.path.join(folder, name) for name in ("outcome", "stdout", "stderr")]
    child = fork()
    if child == 0:
        try:
            for number, path in enumerate(paths[1:], 1):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
            work = os.path.join(folder, "work")
            os.mkdir(work)
            os.chdir(work)
            outcome = run_program(source, **parameters)
            with open(paths[0], "w") as file:
                json.dump(outcome, file)
        finally:
            leave(0)
    waitpid(child, 0)
    with open(paths[0]) as outcome, open(paths[1]) as stdout, open(paths[2]) as stderr:
        return json.load(outcome), stdout.read(), stderr.read()
