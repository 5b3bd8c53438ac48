"""What a program may ask of its host beyond the standard library: `exuvia.call("tool", argument=…)`."""

from exuvia_guest.host import HostError, request

__all__ = ["HostError", "call", "call_async"]


def call(name, /, **args):
    """Call the tool `name` and return its result. In a thread or pool, waits of several calls overlap."""
    return request("call", name=name, args=args)


async def call_async(name, /, **args):
    """`call` for coroutines: `await exuvia.call_async("tool", argument=…)`."""
    from exuvia_guest import loops

    return await loops.request("call", name=name, args=args)
