"""link.py reactor|command OUTPUT MODULE_DIR...: links CPython and all extension modules found.

`reactor` is the guest: ../guest/shim.c and no test modules. `command` is an ordinary `python` for the
test suites. A module is a relocatable object named like a shared one (`a/b.cpython-313.so`); its
place below MODULE_DIR is its name in Python.
"""

import glob
import os
import re
import subprocess
import sys

from localize import localize

W = os.environ["W"]
RECIPE = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
LLVM = "22"
TARGET = ["--target=wasm32-wasip1", f"--sysroot={W}/sysroot"]
PYTHON = f"{W}/python"
# Modules that only test suites import.
FOR_TESTS = re.compile(r"_tests?$|_umath_tests|_operand_flag|_rational|_struct_ufunc|_simd$")

MAIN = """
int main(int argc, char **argv)
{
    return PyImport_ExtendInittab(exuvia_extensions) < 0 ? 9 : Py_BytesMain(argc, argv);
}
"""


def find_modules(folders, with_tests):
    """(name in Python, relocatable object) of each module, in a fixed order."""
    for folder in folders:
        for path in sorted(glob.glob(f"{folder}/**/*.so", recursive=True)):
            name = os.path.relpath(path, folder).split(".c")[0].replace("/", ".")
            if with_tests or not FOR_TESTS.search(name.rpartition(".")[2]):
                yield name, path


def table(modules):
    """The C source of the table of modules that shim.c and main register."""
    inits = [(name, "PyInit_" + name.replace(".", "__")) for name, _ in modules]
    lines = ["#include <Python.h>"]
    lines += [f"extern PyObject *{init}(void);" for _, init in inits]
    lines += ["struct _inittab exuvia_extensions[] = {"]
    lines += [f'    {{"{name}", {init}}},' for name, init in inits]
    return "\n".join([*lines, "    {0, 0},", "};", ""])


def compile_c(source, output):
    subprocess.check_call(
        [f"clang-{LLVM}", *TARGET, "-O3", "-msimd128", f"-ffile-prefix-map={W}=/build"]
        + [f"-ffile-prefix-map={os.path.dirname(RECIPE)}=/recipe", "-Wall", "-Wextra", "-c"]
        + [f"-I{W}/src/cpython/Include", f"-I{PYTHON}", source, "-o", output]
    )


def main():
    kind, output, *folders = sys.argv[1:]
    objects = f"{W}/objects/{kind}"
    os.makedirs(objects, exist_ok=True)
    modules = list(find_modules(folders, with_tests=kind == "command"))
    linked = []
    for name, path in modules:
        target = f"{objects}/{name}.o"
        initialiser = "PyInit_" + name.rpartition(".")[2]
        localize(path, target, {initialiser: "PyInit_" + name.replace(".", "__")})
        linked.append(target)
    source = table(modules)
    with open(f"{objects}/table.c", "w") as file:
        file.write(source + (MAIN if kind == "command" else ""))
    compile_c(f"{objects}/table.c", f"{objects}/table.o")
    linked.insert(0, f"{objects}/table.o")
    options = ["-Wl,--strip-all"]
    if kind == "reactor":
        compile_c(f"{os.path.dirname(RECIPE)}/guest/shim.c", f"{objects}/shim.o")
        linked.insert(0, f"{objects}/shim.o")
        options += ["-mexec-model=reactor", "-Wl,--export=__stack_pointer"]
    else:
        options = ["-Wl,--strip-debug"]  # names in backtraces
    subprocess.check_call(
        [f"clang++-{LLVM}", *TARGET, "-O3", *options, "-o", output]
        # The stack lies first, so that an overflow traps instead of reaching data.
        + ["-z", "stack-size=8388608", "-Wl,--stack-first", "-Wl,--initial-memory=41943040"]
        + ["-Wl,--lto-O3", f"-Wl,--thinlto-cache-dir={W}/lto-cache", *linked, f"{PYTHON}/libpython3.13.a"]
        + [f"{PYTHON}/Modules/_decimal/libmpdec/libmpdec.a", f"{PYTHON}/Modules/expat/libexpat.a"]
        + sorted(glob.glob(f"{PYTHON}/Modules/_hacl/*.a"))
        + [f"-L{W}/prefix/lib", "-lfreetype", "-ljpeg", "-lqhull_r", "-lsetjmp", "-lz", "-lbz2", "-llzma", "-ldl", "-lwasi-emulated-signal"]
        + ["-lwasi-emulated-getpid", "-lwasi-emulated-process-clocks", "-lwasi-emulated-mman"]
        + ["-lc-printscan-long-double", "-lm", "-nostdlib++", "-Wl,--whole-archive"]
        + [f"{W}/cxx/libcxxabi.a", "-Wl,--no-whole-archive", "-lc++"]
    )
    print(f"{len(modules)} modules, {os.path.getsize(output)} bytes: {output}")


main()
