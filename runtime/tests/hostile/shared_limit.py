# Memory is filled until few MiB are left of the common limit; no kind of file may go beyond them.
import os

held = []
try:
    while True:
        held.append(bytearray(1 << 20))
except MemoryError:
    pass
LEFT = 4 << 20  # what the guest's memory cannot grow by any more is less than one of its own steps


def attempt(kind, cost, make):
    count = 0
    try:
        while True:
            make(f"/tmp/{kind}{count}")
            count += 1
    except OSError as error:
        print(f"{kind}: {error.errno} {count * cost < LEFT}")


def write(path):
    with open("/tmp/file", "ab", buffering=0) as file:
        file.write(bytes(1 << 18))


attempt("file", 1 << 18, write)
os.unlink("/tmp/file")
open("/tmp/one", "w").close()
attempt("folders", 520, os.mkdir)
attempt("links", 520, lambda path: os.symlink("x", path))
attempt("hard links", 520, lambda path: os.link("/tmp/one", path))
try:
    held.append(bytearray(1 << 22))
except MemoryError:
    print("memory: MemoryError")
