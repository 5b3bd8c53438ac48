import os

print("before")
block, count = bytes(1 << 20), 0
file = open("/tmp/huge", "wb", buffering=0)
try:
    while True:
        file.write(block)
        count += 1
except OSError as error:
    print(error.errno, error.strerror)
print(count, os.path.getsize("/tmp/huge"))
file.close()
os.unlink("/tmp/huge")
with open("/tmp/again", "wb", buffering=0) as file:
    file.write(block)
    print("free again")
