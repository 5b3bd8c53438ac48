class Link:
    def __init__(self, to):
        self.to = to

    def __getattr__(self, name):
        return getattr(self.to, name)


class Endless:
    def __getattr__(self, name):
        return getattr(self, name + "x")


print("before")
link, length = None, 100_000
for _ in range(length):
    link = Link(link)
try:
    link.missing
except RecursionError as error:
    print(type(error).__name__, length)
Endless().a
