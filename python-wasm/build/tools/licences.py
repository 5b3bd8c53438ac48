"""licences.py FOLDER: the licence texts of everything that is inside the artefact, one file for each component."""

import glob
import os
import sys

W = os.environ["W"]
SOURCES = f"{W}/src"
DEBIAN = f"{SOURCES}/debs/usr/share/doc"

COMPONENTS = {
    "cpython": [f"{SOURCES}/cpython/LICENSE"],
    # expat, libmpdec, mimalloc, the hash functions and others that are part of CPython's source.
    "cpython-incorporated": [f"{SOURCES}/cpython/Doc/license.rst", f"{SOURCES}/cpython/Modules/expat/COPYING"],
    "freetype": [f"{SOURCES}/freetype/LICENSE.TXT", f"{SOURCES}/freetype/docs/FTL.TXT"],
    "libjpeg-turbo": [f"{SOURCES}/jpeg/LICENSE.md", f"{SOURCES}/jpeg/README.ijg"],
    "qhull": [f"{SOURCES}/qhull/COPYING.txt"],
    "zlib": [f"{SOURCES}/zlib/LICENSE"],
    "bzip2": [f"{SOURCES}/bzip2/LICENSE"],
    "xz": [f"{SOURCES}/xz/COPYING", f"{SOURCES}/xz/COPYING.0BSD"],
    "libsqlite3-sys": [f"{W}/crate/vendor/libsqlite3-sys/LICENSE"],
    "wasi-libc": [f"{DEBIAN}/wasi-libc/copyright"],
    "libc++": [f"{DEBIAN}/libc++-22-dev-wasm32/copyright"],
    "libc++abi": [f"{SOURCES}/llvm/ziglang/lib/libcxxabi/LICENSE.TXT"],
    "libunwind": [f"{SOURCES}/llvm/ziglang/lib/libunwind/LICENSE.TXT"],
    "compiler-rt": ["/usr/share/doc/libclang-rt-22-dev-wasm32/copyright"],
}


def read(path):
    with open(path, errors="replace") as file:
        return file.read().rstrip() + "\n"


def sqlite():
    """SQLite is in the public domain; its source begins with a blessing in place of a licence."""
    parts = []
    for name in ("sqlite3.h", "wasm32-wasi-vfs.c"):
        text = read(f"{SOURCES}/sqlite/{name}")
        parts.append(f"{name}:\n\n" + text[: text.index("*/") + 2] + "\n")
    return "\n".join(parts)


def packages():
    """The licence files that each package's metadata folder holds."""
    for info in sorted(glob.glob(f"{W}/tree/lib/python3.13/site-packages/*.dist-info")):
        files = [
            path
            for path in sorted(glob.glob(f"{info}/**", recursive=True))
            if os.path.isfile(path)
            and ("/licenses/" in path or os.path.basename(path).upper().startswith(("LICEN", "COPYING", "NOTICE", "AUTHORS")))
        ]
        if not files:
            raise SystemExit(f"{info}: no licence text")
        yield os.path.basename(info).split("-")[0], files


def main():
    folder = sys.argv[1]
    os.makedirs(folder)
    texts = {name: "\n".join(read(path) for path in paths) for name, paths in COMPONENTS.items()}
    texts["sqlite"] = sqlite()
    for name in ("cppy", "pybind11"):  # C++ headers that modules are made of
        (path,) = glob.glob(f"{W}/venv/lib/python3*/site-packages/{name}-*.dist-info/**/LICENSE", recursive=True)
        texts[name] = read(path)
    for name, paths in packages():
        texts[name] = "\n".join(f"--- {os.path.basename(path)} ---\n\n{read(path)}" for path in paths)
    for name, text in sorted(texts.items()):
        with open(f"{folder}/{name}.txt", "w") as file:
            file.write(text)


main()
