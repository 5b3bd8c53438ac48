"""Permutations of small lists (Computer Language Benchmarks Game)."""

from itertools import permutations


def run(n=7):
    most, checksum = 0, 0
    for number, permutation in enumerate(permutations(range(n))):
        current, flips = list(permutation), 0
        first = current[0]
        while first:
            current[: first + 1] = current[first::-1]
            flips += 1
            first = current[0]
        most = max(most, flips)
        checksum += -flips if number & 1 else flips
    return checksum, most
