import os


def fill():
    count = 0
    try:
        while True:
            open(f"/tmp/{count:05}", "w").close()
            count += 1
    except OSError as error:
        return count, error


print("before")
count, error = fill()
print(error.errno, error.strerror)
print(count, len(os.listdir("/tmp")))
for name in os.listdir("/tmp"):
    os.unlink("/tmp/" + name)
print("again", count)
