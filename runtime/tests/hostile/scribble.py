import ctypes

print("before", flush=True)
place = 12345
while True:
    place = (place * 1103515245 + 12345) & 0xFFFFFFFF
    ctypes.memset(place % (80 << 20), place & 255, 64)
