"""Dicts and sorting with keys."""


def run():
    number, counts = 12345, {}
    for _ in range(20000):
        number = (number * 1103515245 + 12345) % 2147483648
        counts[number % 4999] = counts.get(number % 4999, 0) + 1
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    names = sorted(str(key) for key in counts)
    return ranked[0], names[-1], len(ranked)
