import os

with open("/tmp/file", "w") as file:
    file.write("x" * 1000)
count = 0
try:
    while True:
        os.link("/tmp/file", f"/tmp/{count}")
        count += 1
except OSError as error:
    print(error.errno, error.strerror, os.stat("/tmp/file").st_nlink == count + 1)
for number in range(count):
    os.unlink(f"/tmp/{number}")
print(open("/tmp/file").read() == "x" * 1000, os.stat("/tmp/file").st_nlink)
for _ in range(5000):
    os.link("/tmp/file", "/tmp/other")
    os.unlink("/tmp/other")
try:
    # A file of the library is not the program's to name, and the attempt leaves no name.
    os.link("/lib/python3.13/os.py", "/tmp/os.py")
except OSError as error:
    print("again and again", error.errno == 69 and not os.path.lexists("/tmp/os.py"), os.stat("/tmp/file").st_nlink)
