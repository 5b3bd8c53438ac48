# Compiles all modules of a layer, whose files lie below /packages, and prints the code: for each module the lengths of its path and of
# its code, then both. What does not compile is left out, as an index has packages with templates that end in `.py`.
import importlib.util
import os
import sys
from importlib._bootstrap_external import _code_to_hash_pyc

out = sys.stdout.buffer
for folder, folders, files in os.walk("/packages"):
    folders.sort()
    for name in sorted(files):
        if not name.endswith(".py"):
            continue
        path = os.path.join(folder, name)
        with open(path, "rb") as file:
            source = file.read()
        try:
            code = compile(source, path, "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError):
            continue
        # Never held against the source: both are of one sealed file.
        compiled = _code_to_hash_pyc(code, importlib.util.source_hash(source), checked=False)
        target = os.path.relpath(importlib.util.cache_from_source(path), "/packages").encode()
        out.write(len(target).to_bytes(4, "little") + len(compiled).to_bytes(4, "little") + target)
        out.write(compiled)
out.flush()
