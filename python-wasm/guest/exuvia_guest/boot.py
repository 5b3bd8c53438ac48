"""Before the snapshot: make the interpreter what every run starts from.

Order matters: what others take copies of when they are imported (`_thread`, `time.sleep`, streams) is replaced first.
"""

import gc
import os
import sys

WORKING_FOLDER = "/mnt/data"


def boot():
    """Called once by the shim, before the snapshot."""
    from exuvia_guest import threads

    threads.install()
    from exuvia_guest import sleeping, world

    sleeping.install()
    world.install()
    os.chdir(WORKING_FOLDER)

    from exuvia_guest import preload

    preload.standard_library()
    from exuvia_guest import loops, pools, processes, progress, signals, sockets, thread_pool, tools
    from exuvia_guest.http import http_client

    pools.install()
    thread_pool.install()
    loops.install()
    processes.install()
    sockets.install()
    http_client.install()
    signals.install()
    tools.install()
    progress.install()
    preload.packages()

    from exuvia_guest import immortal, memory, seeds, warmup

    if "pandas" in sys.modules:
        from exuvia_guest import frames

        frames.install()
    if "matplotlib" in sys.modules:
        from exuvia_guest import figures

        figures.install()
    if "anyio" in sys.modules:
        from exuvia_guest import anyio_threads

        anyio_threads.install()

    if "requests" in sys.modules:
        from exuvia_guest.http import urllib3_connections

        urllib3_connections.install()
    if "httpx" in sys.modules:
        from exuvia_guest.http import httpx_transports

        httpx_transports.install()

    warmup.run()
    preload.extension()
    _clean()
    seeds.install()
    gc.collect()
    immortal.make_immortal()
    memory.prepare()
    gc.collect()
    gc.freeze()


def _clean():
    """Leave nothing that a program could see of the boot."""
    import atexit
    import itertools
    import linecache
    import logging
    import threading
    import weakref
    from types import ModuleType

    from exuvia_guest import pools, scheduler

    sys.modules["__main__"] = ModuleType("__main__")
    linecache.clearcache()
    atexit._clear()
    # The libraries' handlers that print nothing: with none left, the end of a run has none to flush.
    logging._handlerList.clear()
    # Or it would believe that it is still registered, and that the interpreter ends: the warm-up's programs have ended.
    weakref.finalize._registered_with_atexit = False
    weakref.finalize._shutdown = False
    # A program's first thread is Thread-1.
    threading._counter = itertools.count(1).__next__
    pools.ThreadPoolExecutor._counter = itertools.count().__next__
    scheduler.new_task.count = scheduler.main.ident
    for module in list(sys.modules.values()):
        registry = getattr(module, "__warningregistry__", None)
        if isinstance(registry, dict):
            registry.clear()
    for name in ("last_type", "last_value", "last_traceback", "last_exc"):
        if hasattr(sys, name):
            delattr(sys, name)
