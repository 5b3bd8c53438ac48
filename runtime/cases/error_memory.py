try:
    blob = bytearray(2**31 - 1)
except MemoryError:
    print("caught")
blob = [bytes(2**26) for _ in range(64)]
