import os

opened = []
try:
    while True:
        opened.append(os.open("/dev/null", os.O_RDONLY))
except OSError as error:
    print(len(opened), error.errno, error.strerror)
for descriptor in opened:
    os.close(descriptor)
open("/tmp/x", "w").close()
print("end")
