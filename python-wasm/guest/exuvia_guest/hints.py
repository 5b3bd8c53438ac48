"""One line of advice for errors that mean something particular in this sandbox."""

# What a program may import besides the standard library.
PACKAGES = (
    "numpy, pandas, httpx, requests, beautifulsoup4, jinja2, openpyxl, python-dateutil, PyYAML and tabulate"
)


def hint(raised, message):
    """Advice, or None. `message` is the exception's text, already made safe."""
    if isinstance(raised, ModuleNotFoundError):
        return f"packages cannot be installed in a run. Besides the standard library there are {PACKAGES}. Others are named in additional_imports."
    if isinstance(raised, SyntaxError):
        if "'await' outside" in message or "'async with' outside" in message or "'async for' outside" in message:
            return "put it in `async def main(): …` and call `asyncio.run(main())`. Tools need no `await`."
        if message.startswith("'return' outside"):
            return "the value of the last expression is the result; no `return` is needed."
    if isinstance(raised, MemoryError):
        return "the run's memory limit was reached: process the data in smaller pieces."
    return None
