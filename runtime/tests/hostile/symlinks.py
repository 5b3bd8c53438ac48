import os

os.chdir("/tmp")
os.symlink("b", "a")
os.symlink("a", "b")
os.symlink(".", "self")
os.symlink("self/" * 200, "far")
os.symlink(".", "l0")
for number in range(40):
    os.symlink(f"l{number}", f"l{number + 1}")
for path in ("a", "self/" * 40, "far", "l40", "l30"):
    try:
        os.stat(path)
        print(path, "is a folder")
    except OSError as error:
        print(path.split("/")[0], error.errno, error.strerror)
