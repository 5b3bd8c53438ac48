import sys
try:
    str(10 ** 5000)
except ValueError as error:
    print(str(error)[:40])
print(sys.maxsize, sys.getrecursionlimit(), len(str(2 ** 1000)))
