# A program may put a stream of its own in the place of standard input, as tests of interactive code do.
import io
import sys

given = sys.stdin
sys.stdin = io.StringIO("Ada\n36\n")
name = input("name? ")
age = int(input())
print(name, age)
try:
    input("more? ")
except EOFError as end:
    print(end)

# What input() writes to need not be able to flush.
class Plain:
    def __init__(self):
        self.written = ""

    def write(self, text):
        self.written += text

plain, out = Plain(), sys.stdout
sys.stdin, sys.stdout = io.StringIO("yes\n"), plain
answer = input("sure? ")
sys.stdin, sys.stdout = given, out
print(answer, plain.written)

del sys.stdin
try:
    input()
except RuntimeError as lost:
    # CPython's releases put different words before these.
    print(str(lost)[-14:])
sys.stdin = given
