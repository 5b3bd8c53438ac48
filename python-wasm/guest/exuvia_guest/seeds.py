"""No two runs see the same random numbers: generators that were seeded before the snapshot seed themselves again.

Seeding costs 20 µs, and few programs need it, so it is done when a generator is first used.
"""

import gc
import logging
import random
import sys
import tempfile


# NumPy's module functions that use the global generator without being its methods.
NUMPY_FUNCTIONS = ("seed", "ranf", "sample", "get_bit_generator", "set_bit_generator")


def install():
    logging._startTime = _FirstRecord()
    tempfile._name_sequence = None
    tempfile.tempdir = None
    if hasattr(random.Random, "_defer_seed"):
        # Our build of CPython: a generator seeds itself at its first number.
        for generator in gc.get_objects():
            if isinstance(generator, random.Random) and not isinstance(generator, random.SystemRandom):
                generator._defer_seed()
    else:
        _Unseeded([random], random._inst, random.seed).hide(("_inst",))
    if "numpy.random.mtrand" in sys.modules:
        from numpy import random as numpy_random
        from numpy.random import mtrand

        if hasattr(mtrand._rand, "_defer_seed"):
            mtrand._rand._defer_seed()
        else:
            _Unseeded([numpy_random, mtrand], mtrand._rand, mtrand._rand.seed).hide(NUMPY_FUNCTIONS)


class _Unseeded:
    """Modules whose functions draw from one global generator: they are hidden until one is asked for."""

    def __init__(self, modules, generator, seed):
        self._modules = modules
        self._generator = generator
        self._seed = seed
        self._hidden = []

    def hide(self, names):
        """Hide the generator's methods, and the names given."""
        for module in self._modules:
            hidden = {
                name: value
                for name, value in vars(module).items()
                if name in names or getattr(value, "__self__", None) is self._generator
            }
            for name in hidden:
                delattr(module, name)
            self._hidden.append(hidden)
            module.__getattr__ = self._getter(module, hidden)

    def _getter(self, module, hidden):
        def __getattr__(name):
            if name not in hidden:
                raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
            self._show()
            return hidden[name]

        return __getattr__

    def _show(self):
        for module, hidden in zip(self._modules, self._hidden):
            del module.__getattr__
            vars(module).update(hidden)
        self._seed()


class _FirstRecord:
    """Stands for the time logging was imported: relative times count from the first record of the run."""

    def __rsub__(self, now):
        logging._startTime = now
        return 0
