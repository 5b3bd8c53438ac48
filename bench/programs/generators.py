"""Generators, comprehensions and closures."""


def primes():
    found = {}
    candidate = 2
    while True:
        steps = found.pop(candidate, None)
        if steps is None:
            yield candidate
            found[candidate * candidate] = [candidate]
        else:
            for step in steps:
                found.setdefault(candidate + step, []).append(step)
        candidate += 1


def tree(depth):
    if depth:
        yield from tree(depth - 1)
        yield depth
        yield from tree(depth - 1)


def run():
    source, total = primes(), 0
    for _ in range(1500):
        total += next(source)
    return total, sum(tree(12)), len({a * b for a in range(60) for b in range(60) if a != b})
