"""`np.memmap` of a file that it opens itself. It closes that file as soon as it is mapped, for the mapping keeps a duplicate
of the descriptor elsewhere; there is none here, and changes could not be written back. So the file stays open as long
as the mapping lives."""

import builtins
import sys
import weakref


def install():
    sys.modules["numpy._core.memmap"].open = _open


def _open(name, mode):
    file = builtins.open(name, mode)
    return file if mode == "rb" else _Held(file)


class _Held:
    """What `with` gets instead of the file."""

    def __init__(self, file):
        self._file = file

    def __enter__(self):
        return self._file

    def __exit__(self, kind, error, trace):
        mapping = sys._getframe(1).f_locals.get("mm")
        if mapping is None or kind is not None:
            self._file.close()
            return
        self._file.flush()
        # Called when the mapping has been written back.
        weakref.finalize(mapping, self._file.close).atexit = False
