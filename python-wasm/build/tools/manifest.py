"""manifest.py DIST: writes manifest.json: what is inside, what it was made from, and the sums to check it by."""

import glob
import hashlib
import json
import os
import re
import subprocess
import sys
from email.parser import Parser

W = os.environ["W"]
SOURCES = os.path.dirname(os.path.dirname(os.path.realpath(__file__))) + "/sources"

# Licence of each source that is not a Python package (those say it themselves).
LICENCES = {
    "wasi-libc": "Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT",
    "libc++-22-dev-wasm32": "Apache-2.0 WITH LLVM-exception",
    "libc++abi-22-dev-wasm32": "Apache-2.0 WITH LLVM-exception",
    "python3.13": "Python-2.0",
    "zlib": "Zlib",
    "freetype": "FTL",
    "libjpeg-turbo": "IJG AND BSD-3-Clause AND Zlib",
    "qhull": "Qhull",
    "cppy": "BSD-3-Clause",
    "pybind11": "BSD-3-Clause",
    "bzip2": "bzip2-1.0.6",
    "xz-utils": "0BSD",
    "libsqlite3-sys": "MIT, SQLite itself in the public domain",
    "ziglang": "of its libc++abi and libunwind: Apache-2.0 WITH LLVM-exception",
}
# Headers that compiled modules are made of.
HEADERS = ("cppy", "pybind11")
TOOLS = ("clang-22", "lld-22", "llvm-22", "libclang-rt-22-dev-wasm32", "zstd")


def lines(name):
    with open(f"{SOURCES}/{name}") as file:
        return [line.split() for line in file if line.strip() and not line.startswith("#")]


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_entry(path, packed):
    return {
        "bytes": os.path.getsize(packed),
        "sha256": sha256(packed),
        "unpacked": {"bytes": os.path.getsize(path), "sha256": sha256(path)},
    }


def debian_sources():
    sums = {name: digest for digest, name in lines("debian.sha256")}
    for kind, package in lines("debian.txt"):
        kind = {"tarball": "source"}.get(kind, kind)
        name, version = package.split("=", 1)
        files = {f: s for f, s in sums.items() if f.startswith(name + "_")}
        yield {"registry": "Debian", "kind": kind, "name": name, "version": version, "licence": LICENCES[name], "sha256": files}


def python_sources(packages):
    for listed in ("pip-sdist.txt", "pip-library.txt", "pip-library-stripped.txt", "pip-llvm.txt"):
        for pin, digest in lines(listed):
            name, version = pin.split("==")
            licence = LICENCES.get(name) or packages[name]["licence"]
            yield {"registry": "Python", "name": name, "version": version, "licence": licence, "sha256": digest.split(":")[1]}
    for pin, digest in lines("pip-build.txt"):
        name, version = pin.split("==")
        if name in HEADERS:
            yield {"registry": "Python", "name": name, "version": version, "licence": LICENCES[name], "sha256": digest.split(":")[1]}


def crates():
    for name, version, digest in lines("crate.txt"):
        yield {"registry": "Rust", "name": name, "version": version, "licence": LICENCES[name], "sha256": digest}


def licence_of(metadata):
    licence = metadata["License-Expression"] or metadata["License"] or ""
    if not licence or "\n" in licence or len(licence) > 100:
        classifiers = [c for c in metadata.get_all("Classifier") or [] if c.startswith("License ::")]
        licence = ", ".join(c.rpartition(" :: ")[2] for c in classifiers)
    return licence


def installed():
    found = {}
    for path in sorted(glob.glob(f"{W}/tree/lib/python3.13/site-packages/*.dist-info/METADATA")):
        with open(path) as file:
            metadata = Parser().parse(file)
        name = metadata["Name"].lower().replace("_", "-").replace(".", "-")
        found[name] = {"version": metadata["Version"], "licence": licence_of(metadata)}
    return found


def toolchain():
    for name in TOOLS:
        yield name, subprocess.check_output(["dpkg-query", "-W", "-f", "${Version}", name], text=True)
    for pin, _ in lines("pip-build.txt"):
        name, version = pin.split("==")
        if name in ("cython", "meson", "ninja"):
            yield name, version


def python_version():
    with open(f"{W}/src/cpython/Include/patchlevel.h") as file:
        return re.search(r'#define PY_VERSION\s+"(.*)"', file.read()).group(1)


def main():
    dist = sys.argv[1]
    packages = installed()
    wasm = file_entry(f"{W}/python.wasm", f"{dist}/python.wasm.zst")
    library = file_entry(f"{W}/library.tar", f"{dist}/library.tar.zst")
    contents = "".join(f"{part['unpacked']['sha256']}\n" for part in (wasm, library))
    manifest = {
        # Of the two files as they are when unpacked, so that it does not depend on the compressor.
        "digest": hashlib.sha256(contents.encode()).hexdigest(),
        "versions": {
            "python": python_version(),
            "numpy": packages["numpy"]["version"],
            "pandas": packages["pandas"]["version"],
            "matplotlib": packages["matplotlib"]["version"],
        },
        "files": {"python.wasm.zst": wasm, "library.tar.zst": library},
        "packages": packages,
        "sources": [*debian_sources(), *python_sources(packages), *crates()],
        "toolchain": dict(toolchain()),
    }
    with open(f"{dist}/manifest.json", "w") as file:
        json.dump(manifest, file, indent=2)
        file.write("\n")
    print(f"digest {manifest['digest']}, {wasm['bytes'] + library['bytes']} bytes")


main()
