# Changes through a np.memmap reach the file: by flush(), and when the array goes.
import gc
import os

import numpy as np

made = np.memmap("made.bin", dtype="int64", mode="w+", shape=(3,))
made[:] = [1, 2, 3]
made.flush()
print(np.fromfile("made.bin", dtype="int64"))
made[0] = 9
del made
gc.collect()
print(np.fromfile("made.bin", dtype="int64"))

np.save("saved.npy", np.arange(4))
part = np.load("saved.npy", mmap_mode="r+")[1:3]
part += 10
del part
gc.collect()
print(np.load("saved.npy"))

# Copies and views for reading leave the file alone, and a failure leaves nothing open.
copied = np.load("saved.npy", mmap_mode="c")
copied[0] = 77
print(np.load("saved.npy", mmap_mode="r")[0])
try:
    np.memmap("made.bin", dtype="int64", mode="r+", offset=-8)
except (ValueError, OverflowError) as error:
    print("refused", type(error) in (ValueError, OverflowError))

# As many as one likes: the files of those that are gone are closed.
for n in range(2000):
    one = np.memmap("many.bin", dtype="int8", mode="w+", shape=(1,))
    one[0] = n % 100
del one
print(np.fromfile("many.bin", dtype="int8"), os.path.getsize("many.bin"))
