"""Float arithmetic in comprehensions: a matrix's norm (Computer Language Benchmarks Game)."""


def element(i, j):
    return 1.0 / ((i + j) * (i + j + 1) // 2 + i + 1)


def times(vector, transposed):
    size = range(len(vector))
    if transposed:
        return [sum(element(j, i) * vector[j] for j in size) for i in size]
    return [sum(element(i, j) * vector[j] for j in size) for i in size]


def run():
    u = [1.0] * 40
    for _ in range(5):
        v = times(times(u, False), True)
        u = times(times(v, False), True)
    return round((sum(a * b for a, b in zip(u, v)) / sum(b * b for b in v)) ** 0.5, 9)
