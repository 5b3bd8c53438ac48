"""wasirun.py [--dir HOST::GUEST]... [--env NAME=VALUE]... MODULE [ARGUMENT]...: runs a WASI command.

For the test suites: python-command.wasm on the wasmtime package of the build environment. The compiled module
is kept beside MODULE.
"""

import os
import sys

import wasmtime


def parse(arguments):
    folders, variables = [], []
    while arguments and arguments[0] in ("--dir", "--env"):
        option, value = arguments.pop(0), arguments.pop(0)
        if option == "--dir":
            folders.append(value.split("::"))
        else:
            variables.append(tuple(value.split("=", 1)))
    return folders, variables, arguments


def compiled(engine, path):
    cache = path + ".cwasm"
    if os.path.exists(cache) and os.path.getmtime(cache) > os.path.getmtime(path):
        return wasmtime.Module.deserialize_file(engine, cache)
    with open(path, "rb") as file:
        module = wasmtime.Module(engine, file.read())
    with open(f"{cache}.{os.getpid()}", "wb") as file:
        file.write(module.serialize())
    os.replace(f"{cache}.{os.getpid()}", cache)
    return module


def main():
    folders, variables, (path, *arguments) = parse(sys.argv[1:])
    config = wasmtime.Config()
    config.wasm_exceptions = True
    config.max_wasm_stack = 2 << 20  # the most that the package allows
    engine = wasmtime.Engine(config)
    module = compiled(engine, path)
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    store = wasmtime.Store(engine)
    wasi = wasmtime.WasiConfig()
    wasi.argv = ["python", *arguments]
    wasi.env = variables
    wasi.inherit_stdin()
    wasi.inherit_stdout()
    wasi.inherit_stderr()
    for host, guest in folders:
        wasi.preopen_dir(host, guest)
    store.set_wasi(wasi)
    start = linker.instantiate(store, module).exports(store)["_start"]
    try:
        start(store)
    except wasmtime.ExitTrap as trap:
        return trap.code
    return 0


sys.stdout.flush()
code = main()
sys.stdout.flush()
os._exit(code)
