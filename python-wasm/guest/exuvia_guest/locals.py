"""`threading.local`: an object whose attributes belong to the running task."""

from exuvia_guest.scheduler import stack


class local:
    """Thread-local data"""

    __slots__ = ("_local__parts", "__dict__", "__weakref__")

    def __new__(cls, /, *args, **kwargs):
        if (args or kwargs) and cls.__init__ is object.__init__:
            raise TypeError("Initialization arguments are not supported")
        self = object.__new__(cls)
        # The task whose attributes are in `__dict__`, those of every task, and how to initialise more.
        parts = [stack[-1], {stack[-1]: _get(self, "__dict__")}, args, kwargs]
        _set(self, "_local__parts", parts)
        return self

    def __getattribute__(self, name):
        if _get(self, "_local__parts")[0] is not stack[-1]:
            _switch(self)
        return _get(self, name)

    def __setattr__(self, name, value):
        if name == "__dict__":
            raise AttributeError(f"'{type(self).__name__}' object attribute '__dict__' is read-only")
        if _get(self, "_local__parts")[0] is not stack[-1]:
            _switch(self)
        _set(self, name, value)

    def __delattr__(self, name):
        if name == "__dict__":
            raise AttributeError(f"'{type(self).__name__}' object attribute '__dict__' is read-only")
        if _get(self, "_local__parts")[0] is not stack[-1]:
            _switch(self)
        object.__delattr__(self, name)


_get = object.__getattribute__
_set = object.__setattr__


def _switch(self):
    """Bring in the attributes of the running task; a subclass's `__init__` runs once for each."""
    parts = _get(self, "_local__parts")
    parts[0] = me = stack[-1]
    mine = parts[1].get(me)
    if mine is not None:
        _set(self, "__dict__", mine)
        return
    parts[1][me] = mine = {}
    _set(self, "__dict__", mine)
    if type(self).__init__ is not object.__init__:
        type(self).__init__(self, *parts[2], **parts[3])
