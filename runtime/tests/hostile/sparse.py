import os


def attempt(change):
    descriptor = os.open("/tmp/sparse", os.O_CREAT | os.O_RDWR)
    try:
        change(descriptor)
        print("done")
    except OSError as error:
        print(error.errno, error.strerror, os.fstat(descriptor).st_size)


def seek_and_write(descriptor):
    os.lseek(descriptor, 1 << 40, os.SEEK_SET)
    os.write(descriptor, b"x")


attempt(seek_and_write)
attempt(lambda descriptor: os.ftruncate(descriptor, 1 << 40))
attempt(lambda descriptor: os.ftruncate(descriptor, (1 << 63) - 1))
attempt(lambda descriptor: os.pwrite(descriptor, b"x", 1 << 62))
