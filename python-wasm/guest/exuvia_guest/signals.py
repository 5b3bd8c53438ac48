"""Signals: none arrive, so handlers may be set and are never called; what would send one is refused."""

import errno
import signal


def _refused(*args, **kwargs):
    raise OSError(errno.ENOTSUP, "there are no signals in Exuvia's guest: for a time limit, look at time.monotonic() in between")


_handlers = {}


def set_handler(signalnum, handler):
    """Remembers the handler, as programs that install one for Ctrl-C expect."""
    number = signal.Signals(signalnum)
    if not callable(handler) and handler not in (signal.SIG_DFL, signal.SIG_IGN):
        raise TypeError("signal handler must be signal.SIG_IGN, signal.SIG_DFL, or a callable object")
    before = get_handler(number)
    _handlers[number] = handler
    return before


def get_handler(signalnum):
    number = signal.Signals(signalnum)
    return _handlers.get(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def install():
    signal.signal = set_handler
    signal.getsignal = get_handler
    for name in "alarm setitimer pause raise_signal pthread_kill sigwait siginterrupt".split():
        setattr(signal, name, _refused)
