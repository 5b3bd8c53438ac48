"""Lists, dicts, sets and what is built of them: graphs, grids, tables of dynamic programming, queues, sorting."""

import bisect
import collections
import heapq
import itertools


def random(seed):
    while True:
        seed = (seed * 6364136223846793005 + 1442695040888963407) % 2**64
        yield seed >> 33


def graph(nodes, source):
    edges = collections.defaultdict(list)
    for node in range(nodes):
        for _ in range(4):
            edges[node].append((next(source) % nodes, 1 + next(source) % 50))
    return edges


def shortest(edges, start):
    distances, queue = {start: 0}, [(0, start)]
    while queue:
        distance, node = heapq.heappop(queue)
        if distance > distances[node]:
            continue
        for target, length in edges[node]:
            longer = distance + length
            if target not in distances or longer < distances[target]:
                distances[target] = longer
                heapq.heappush(queue, (longer, target))
    return distances


def reached(edges, start):
    seen, queue = {start}, collections.deque([start])
    while queue:
        for target, _ in edges[queue.popleft()]:
            if target not in seen:
                seen.add(target)
                queue.append(target)
    return seen


def life(cells, rounds):
    for _ in range(rounds):
        counts = collections.Counter(
            (x + dx, y + dy) for x, y in cells for dx in (-1, 0, 1) for dy in (-1, 0, 1) if dx or dy
        )
        cells = {cell for cell, count in counts.items() if count == 3 or (count == 2 and cell in cells)}
    return cells


def knapsack(items, room):
    best = [0] * (room + 1)
    for weight, value in items:
        for left in range(room, weight - 1, -1):
            if best[left - weight] + value > best[left]:
                best[left] = best[left - weight] + value
    return best[room]


def distance(one, other):
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        previous, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return row[-1]


def product(a, b):
    columns = list(zip(*b))
    return [[sum(x * y for x, y in zip(row, column)) for column in columns] for row in a]


def sieve(limit):
    flags = bytearray([1]) * limit
    flags[:2] = b"\0\0"
    for number in range(2, int(limit**0.5) + 1):
        if flags[number]:
            flags[number * number :: number] = bytes(len(range(number * number, limit, number)))
    return [number for number, flag in enumerate(flags) if flag]


def quick(values):
    if len(values) < 2:
        return values
    pivot, *rest = values
    return quick([value for value in rest if value < pivot]) + [pivot] + quick([value for value in rest if value >= pivot])


def bubble(values):
    values = values[:]
    for end in range(len(values) - 1, 0, -1):
        for i in range(end):
            if values[i] > values[i + 1]:
                values[i], values[i + 1] = values[i + 1], values[i]
    return values


def group(rows):
    by = {}
    for row in rows:
        by.setdefault(row["kind"], []).append(row)
    totals = {kind: sum(row["amount"] for row in group) for kind, group in by.items()}
    merged = {**totals, "all": sum(totals.values())} | {"rows": len(rows)}
    ordered = sorted(rows, key=lambda row: (row["kind"], -row["amount"]))
    return merged, ordered[0]["id"], {value: key for key, value in merged.items()}


def sets(source):
    one, other = {next(source) % 500 for _ in range(300)}, {next(source) % 500 for _ in range(300)}
    return len(one & other), len(one | other), len(one ^ other), len(one - other), one <= other, min(one), frozenset(one)


def lists(source):
    values = [next(source) % 1000 for _ in range(600)]
    ordered = []
    for value in values:
        bisect.insort(ordered, value)
    values.sort(reverse=True)
    stack = []
    while values:
        stack.append(values.pop())
        if len(stack) > 20:
            del stack[:10]
    words = sorted(f"{value:x}" for value in ordered)
    ordered.reverse()
    pairs = sorted(zip(words, ordered))
    return any(value > 990 for value in ordered), all(words), stack[-3:], pairs[0], ordered.index(ordered[5]), 7 in ordered


def run():
    source = random(1)
    for _ in range(4):
        edges = graph(250, source)
        shortest(edges, 0), reached(edges, 0)
        life({(0, 1), (1, 2), (2, 0), (2, 1), (2, 2), (9, 9), (9, 10), (9, 11)}, 30)
        knapsack([(3 + next(source) % 20, next(source) % 90) for _ in range(40)], 200)
        distance("the first of two long sentences" * 2, "a second one, of nearly the same length" * 2)
        product([[i * j % 7 for j in range(25)] for i in range(25)], [[float(i + j) for j in range(25)] for i in range(25)])
        sieve(20000)
        values = [next(source) % 10000 for _ in range(1200)]
        quick(values), bubble(values[:120]), sorted(values), sorted(map(str, values)), sorted(map(float, values))
        group([{"id": number, "kind": "abcdef"[next(source) % 6], "amount": next(source) % 100} for number in range(500)])
        sets(source), lists(source)
        list(itertools.islice(itertools.combinations(range(12), 4), 400))
        [list(row) for row in zip(*[iter(range(900))] * 3)]
