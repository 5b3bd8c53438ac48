"""Plain words for what needs another process: there is none to be had."""

import errno
import os


def no_processes(what, instead):
    """The exception for a call that would start or control a process."""
    return OSError(errno.ENOTSUP, f"Exuvia's guest has no processes, so there is no {what}: {instead}")


def _refuse(what, instead="do it in Python, or through a tool"):
    def refused(*args, **kwargs):
        raise no_processes(what, instead)

    return refused


def install():
    for name in (
        "system popen fork forkpty execv execve execvp execvpe execl execle execlp execlpe spawnv spawnve spawnvp spawnvpe"
        " spawnl spawnle spawnlp spawnlpe posix_spawn posix_spawnp kill killpg wait waitpid"
    ).split():
        refused = _refuse(f"os.{name}")
        refused.__name__ = refused.__qualname__ = name
        setattr(os, name, refused)
    os._exit = _exit
    os.abort = _refuse("os.abort", "raise an exception or call sys.exit")
    _install_subprocess()
    _install_multiprocessing()


def _exit(status):
    """Ends the program, not the sandbox: what was printed is kept."""
    raise SystemExit(status)


def _install_subprocess():
    import subprocess

    subprocess.Popen.__init__ = _refuse("subprocess")
    subprocess.Popen.__del__ = lambda self, *_: None


def _install_multiprocessing():
    from multiprocessing import context, process

    instead = "use ThreadPoolExecutor (or multiprocessing.pool.ThreadPool), whose waits overlap"
    process.BaseProcess.start = _refuse("multiprocessing.Process", instead)
    for name in "Pool Manager Queue SimpleQueue JoinableQueue Pipe Lock RLock Semaphore Value Array Barrier Event".split():
        setattr(context.BaseContext, name, _refuse(f"multiprocessing.{name}", instead))
    # The module's functions are bound methods taken from the default context when it was imported.
    import multiprocessing

    for name in "Pool Manager Queue SimpleQueue JoinableQueue Pipe Lock RLock Semaphore Value Array Barrier Event".split():
        setattr(multiprocessing, name, getattr(context._default_context, name))
    context.BaseContext.cpu_count = lambda self: 1
    multiprocessing.cpu_count = lambda: 1
