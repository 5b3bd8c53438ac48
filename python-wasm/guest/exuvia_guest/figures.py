"""Figures of matplotlib that a program shows, or leaves open, become files: figure-1.png, figure-2.png, …

As in a notebook: `show()` gives the pictures and closes them, and the end of a call of a session does. What the program has saved
itself is not saved again, unless it has changed since.
"""

import functools
import os
import sys
import weakref

# Most figures that are saved in one run: programs that open one after another in a loop mean to look at none.
MOST = 20

# Of pyplot, by number; and the class. Both are matplotlib's own once it is there.
opened = {}
Figure = None

# The figures that are in a file as they are now.
_kept = weakref.WeakSet()
_saved = 0


def install():
    """Called before the snapshot."""
    global opened, Figure
    from matplotlib import _pylab_helpers, artist, backend_bases, figure, pyplot

    opened = _pylab_helpers.Gcf.figs
    Figure = figure.Figure
    backend_bases.FigureManagerBase.show = _show_one
    # A class of its own: pyplot takes `pyplot_show` only of one that is not the base's.
    backend_bases.FigureCanvasBase.manager_class = type(
        "FigureManager", (backend_bases.FigureManagerBase,), {"pyplot_show": classmethod(_show), "__module__": __name__}
    )
    _watch(Figure, artist.Artist.stale)
    # It does so when the backend is chosen, which an import may have done.
    pyplot.switch_backend("agg")


def keep(figure):
    """Save `figure` under the next free name, unless it is saved as it is. A failure is a warning."""
    global _saved
    if figure in _kept:
        return
    _saved += 1
    if _saved > MOST:
        if _saved == MOST + 1:
            _warn(f"only the first {MOST} figures are saved: save others with savefig(), and close() what is done with")
        return
    try:
        figure.savefig(_free_name(), format="png")
    except BaseException as raised:
        _warn(f"a figure could not be saved: {type(raised).__name__}: {raised}")


def keep_open():
    """At the end of a run: save what is open."""
    for manager in list(opened.values()):
        keep(manager.canvas.figure)


def close():
    """At the end of a session's call, after what is open was saved: the next begins with no figure."""
    global _saved
    _saved = 0
    if opened:
        from matplotlib import _pylab_helpers

        _pylab_helpers.Gcf.destroy_all()


def _show_one(manager):
    keep(manager.canvas.figure)


def _show(manager_class, *, block=None):
    """pyplot's `show`. What does not block is asked for again and again, by `pause` and while a figure is built up."""
    import matplotlib
    from matplotlib import _pylab_helpers

    if block or (block is None and not matplotlib.is_interactive()):
        keep_open()
        _pylab_helpers.Gcf.destroy_all()


def _free_name():
    number = 1
    while os.path.exists(name := f"/mnt/data/figure-{number}.png"):
        number += 1
    return name


def _watch(figure_class, stale):
    """Have each figure in `_kept` from the end of `savefig` to its next change. Drawing changes it, too, and leaves it the same."""
    original_savefig, original_draw = figure_class.savefig, figure_class.draw

    @functools.wraps(original_savefig)
    def savefig(self, *args, **kwargs):
        saved = original_savefig(self, *args, **kwargs)
        _kept.add(self)
        return saved

    @functools.wraps(original_draw)
    def draw(self, renderer):
        was_kept = self in _kept
        try:
            return original_draw(self, renderer)
        finally:
            if was_kept:
                _kept.add(self)

    def set_stale(self, value):
        if value and _kept:
            _kept.discard(self)
        stale.fset(self, value)

    figure_class.savefig, figure_class.draw = savefig, draw
    figure_class.stale = property(stale.fget, set_stale, doc=stale.__doc__)


def _warn(text):
    try:
        print(f"exuvia: {text}", file=sys.stderr)
    except BaseException:
        # Closed, None, or an object of the program's own.
        pass
