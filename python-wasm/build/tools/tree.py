"""tree.py library|tests FOLDER: lays out the guest's files below FOLDER, as lib/python3.13.

`library` is what is shipped. `tests` is the same with the test suites and what they need, for runs that mount it.
"""

import base64
import csv
import glob
import hashlib
import io
import os
import re
import shutil
import sys
import zipfile

W = os.environ["W"]
SITE = f"{W}/install/usr/local/lib/site-packages"
PLOTTING = f"{W}/plotting"
# What is built here: the name of its source, where it was installed, what of it is the package's.
BUILT = (
    ("numpy", SITE, ["numpy"]),
    ("pandas", SITE, ["pandas"]),
    ("contourpy", PLOTTING, ["contourpy"]),
    ("kiwisolver", PLOTTING, ["kiwisolver"]),
    ("matplotlib", PLOTTING, ["matplotlib", "mpl_toolkits", "pylab.py"]),
    ("pillow", PLOTTING, ["PIL"]),
)
VERSION = "python3.13"

# Without a use in the guest: other programs, graphics, installers, the manual's text.
STDLIB_LEFT_OUT = {"idlelib", "tkinter", "turtledemo", "turtle.py", "ensurepip", "pydoc_data", "__phello__"}
ALWAYS_LEFT_OUT = (".so", ".a", ".pyc")
# Of use to compilers and type checkers only.
SUFFIXES_LEFT_OUT = (*ALWAYS_LEFT_OUT, ".pyi", ".pxd", ".pyx", ".h", ".c", "meson.build")
FOLDERS_LEFT_OUT = {"__pycache__"}
TESTS_LEFT_OUT = {"test", "tests"}
# What lies elsewhere of tests, and what has no use here: windows and browsers to draw in, the documentation's parts,
# samples; of the fonts those that another can stand for.
PATHS_LEFT_OUT = """
pandas/conftest.py numpy/conftest.py
matplotlib/sphinxext matplotlib/mpl-data/sample_data matplotlib/mpl-data/images matplotlib/mpl-data/plot_directive
matplotlib/mpl-data/fonts/ttf/DejaVuSans-BoldOblique.ttf matplotlib/mpl-data/fonts/ttf/DejaVuSansMono-*.ttf
matplotlib/mpl-data/fonts/ttf/DejaVuSerif*.ttf matplotlib/backends/web_backend matplotlib/backends/qt_editor
matplotlib/backends/qt_compat.py matplotlib/backends/backend_[gntqw]*.py matplotlib/backends/backend_macosx.py
matplotlib/backends/backend_cairo.py matplotlib/backends/_backend_[gt]*.py
PIL/ImageQt.py PIL/ImageTk.py PIL/_tkinter_finder.py
""".split()


def copy(source, target, with_tests):
    for folder, folders, files in os.walk(source):
        folders.sort()
        folders[:] = [
            name
            for name in folders
            if name not in FOLDERS_LEFT_OUT and (with_tests or name not in TESTS_LEFT_OUT)
        ]
        if not with_tests and os.path.basename(folder) == "include" and "_core" in folder:
            folders[:], files = [], []
        place = os.path.join(target, os.path.relpath(folder, source))
        for name in sorted(files):
            if name.endswith(ALWAYS_LEFT_OUT) or (not with_tests and name.endswith(SUFFIXES_LEFT_OUT)):
                continue
            os.makedirs(place, exist_ok=True)
            shutil.copyfile(os.path.join(folder, name), os.path.join(place, name))


def without_build_paths(path):
    """Records of how a package was built name this machine's folders."""
    with open(path) as file:
        text = file.read()
    recipe = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
    with open(path, "w") as file:
        file.write(text.replace(W, "/build").replace(recipe, "/recipe"))


def standard_library(lib, with_tests):
    source = f"{W}/src/cpython/Lib"
    os.makedirs(lib)
    for name in sorted(os.listdir(source)):
        if name in STDLIB_LEFT_OUT | FOLDERS_LEFT_OUT or (name == "test" and not with_tests):
            continue
        if os.path.isdir(f"{source}/{name}"):
            copy(f"{source}/{name}", f"{lib}/{name}", with_tests)
        else:
            shutil.copyfile(f"{source}/{name}", f"{lib}/{name}")
    shutil.copyfile(f"{W}/src/cpython/LICENSE", f"{lib}/LICENSE.txt")
    (config,) = glob.glob(f"{W}/python/build/lib*/_sysconfigdata*.py")
    shutil.copyfile(config, f"{lib}/{os.path.basename(config)}")
    without_build_paths(f"{lib}/{os.path.basename(config)}")


def built_package(name, site, tops, packages, with_tests):
    """A package that was compiled here, with the metadata that a wheel would have."""
    for top in tops:
        if os.path.isfile(f"{site}/{top}"):
            shutil.copyfile(f"{site}/{top}", f"{packages}/{top}")
        else:
            copy(f"{site}/{top}", f"{packages}/{top}", with_tests)
    for path in glob.glob(f"{packages}/{name}/__config__.py"):
        without_build_paths(path)
    if not with_tests:
        for path in [path for pattern in PATHS_LEFT_OUT for path in glob.glob(f"{packages}/{pattern}")]:
            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
    source = f"{W}/src/{name}"
    with open(f"{source}/PKG-INFO") as file:
        metadata = file.read()
    version = re.search(r"^Version: (.*)$", metadata, re.M).group(1)
    info = f"{packages}/{name}-{version}.dist-info"
    os.makedirs(info)
    with open(f"{info}/METADATA", "w") as file:
        file.write(metadata)
    with open(f"{info}/WHEEL", "w") as file:
        file.write("Wheel-Version: 1.0\nGenerator: exuvia\nRoot-Is-Purelib: false\nTag: cp313-cp313-wasi_wasm32\n")
    # matplotlib's metadata does not name its licences, which are a folder.
    for name_of_licence in licences_of(source, metadata):
        target = f"{info}/licenses/{name_of_licence}"
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copyfile(f"{source}/{name_of_licence}", target)
    record(packages, info, [*tops, os.path.basename(info)])


def licences_of(source, metadata):
    named = re.findall(r"^License-File: (.*)$", metadata, re.M)
    return named or [os.path.relpath(path, source) for path in sorted(glob.glob(f"{source}/LICENSE/*"))]


def wheel(path, packages, with_tests):
    with zipfile.ZipFile(path) as archive:
        names = sorted(n for n in archive.namelist() if not n.endswith("/"))
        if not with_tests:
            names = [n for n in names if not n.endswith(SUFFIXES_LEFT_OUT)]
            names = [n for n in names if not set(n.split("/")[:-1]) & TESTS_LEFT_OUT]
        names = [n for n in names if ".data/" not in n]
        archive.extractall(packages, names)
    (info,) = {n.split("/")[0] for n in names if n.split("/")[0].endswith(".dist-info")}
    record(packages, f"{packages}/{info}", sorted({n.split("/")[0] for n in names}))


def record(packages, info, tops):
    """RECORD, of what is really there: some files of a wheel are left out."""
    rows = []
    for top in tops:
        place = f"{packages}/{top}"
        paths = [place] if os.path.isfile(place) else glob.glob(f"{place}/**", recursive=True, include_hidden=True)
        for path in sorted(p for p in paths if os.path.isfile(p)):
            if os.path.dirname(path) == info and os.path.basename(path) == "RECORD":
                continue
            with open(path, "rb") as file:
                data = file.read()
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            rows.append((os.path.relpath(path, packages), f"sha256={digest}", len(data)))
    rows.append((os.path.relpath(f"{info}/RECORD", packages), "", ""))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    with open(f"{info}/RECORD", "w") as file:
        file.write(text.getvalue())


def main():
    kind, root = sys.argv[1:]
    with_tests = kind == "tests"
    lib = f"{root}/lib/{VERSION}"
    packages = f"{lib}/site-packages"
    standard_library(lib, with_tests)
    shutil.rmtree(packages)
    os.makedirs(packages)
    for name, site, tops in BUILT:
        built_package(name, site, tops, packages, with_tests)
    download = f"{W}/download"
    folders = ["wheels", "stripped"] + (["test"] if with_tests else [])
    for folder in folders:
        for path in sorted(glob.glob(f"{download}/{folder}/*.whl")):
            wheel(path, packages, with_tests)
    if with_tests:
        os.makedirs(f"{root}/tmp")
        os.makedirs(f"{root}/dev")
        open(f"{root}/dev/null", "w").close()  # pytest's log file


main()
