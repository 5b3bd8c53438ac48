import os

print("before")
count = 0
try:
    while True:
        os.mkdir("d")
        os.chdir("d")
        count += 1
except OSError as error:
    print("by path", error.errno, error.strerror, 2000 < count < 2100)
os.chdir("/tmp")
here = os.open(".", os.O_RDONLY)
count = 0
try:
    while True:
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
        count += 1
except OSError as error:
    print("by descriptor", error.errno, error.strerror, count < 2100)
