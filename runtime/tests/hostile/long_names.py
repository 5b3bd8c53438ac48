import os

for path in ("n" * 255, "n" * 256, "x/" * 3000, "n" * 10_000_000):
    try:
        open("/tmp/" + path, "w").close()
        print("made")
    except OSError as error:
        print(error.errno, error.strerror)
try:
    os.symlink("t" * 10_000_000, "/tmp/link")
except OSError as error:
    print("link", error.errno, error.strerror)
print(len(os.listdir("/tmp")))
