"""Calls of all kinds: closures, decorators, keyword arguments, recursion, generators, exceptions, coroutines."""

import asyncio
import functools
import itertools
import operator


def counting(function):
    @functools.wraps(function)
    def counted(*arguments, **options):
        counted.calls += 1
        return function(*arguments, **options)

    counted.calls = 0
    return counted


@counting
def area(width, height=2, *, scale=1, **rest):
    return width * height * scale + len(rest)


def accumulator(start=0):
    total = start

    def add(amount):
        nonlocal total
        total += amount
        return total

    return add


def hanoi(disks, source, target, spare, moves):
    if disks == 0:
        return
    hanoi(disks - 1, source, spare, target, moves)
    moves.append((source, target))
    hanoi(disks - 1, spare, target, source, moves)


@functools.lru_cache(maxsize=None)
def paths(rows, columns):
    return 1 if rows == 0 or columns == 0 else paths(rows - 1, columns) + paths(rows, columns - 1)


def ackermann(m, n):
    if m == 0:
        return n + 1
    return ackermann(m - 1, 1 if n == 0 else ackermann(m, n - 1))


def permutations(items):
    if len(items) <= 1:
        yield items
        return
    for index, item in enumerate(items):
        for rest in permutations(items[:index] + items[index + 1 :]):
            yield [item, *rest]


def queens(size, row=0, columns=frozenset(), left=frozenset(), right=frozenset()):
    if row == size:
        return 1
    found = 0
    for column in range(size):
        if column not in columns and row + column not in left and row - column not in right:
            found += queens(size, row + 1, columns | {column}, left | {row + column}, right | {row - column})
    return found


def numbers(limit):
    number = 0
    while number < limit:
        step = yield number
        number += step or 1


def pipeline(limit):
    squares = (number * number for number in numbers(limit))
    odd = filter(lambda square: square % 2, squares)
    pairs = zip(odd, itertools.count(10), itertools.cycle("abc"))
    groups = itertools.groupby(pairs, key=lambda pair: pair[0] // 1000)
    return sum(sum(map(operator.itemgetter(1), group)) for _, group in groups)


def sent():
    generator = numbers(400)
    total = next(generator)
    try:
        while True:
            total += generator.send(total % 3)
    except StopIteration:
        return total


def parse(text):
    try:
        return int(text)
    except ValueError:
        try:
            return float(text)
        except ValueError as error:
            raise KeyError(text) from error


def failures():
    failed = 0
    for text in ("1", "2.5", "x", "", "-7", "1e3", "none") * 60:
        try:
            parse(text)
        except KeyError:
            failed += 1
        else:
            failed += 0
    return failed


async def worker(queue, results):
    while True:
        item = await queue.get()
        if item is None:
            return
        await asyncio.sleep(0)
        results.append(item * 2)


async def schedule():
    queue, results = asyncio.Queue(), []
    workers = [asyncio.ensure_future(worker(queue, results)) for _ in range(4)]
    for item in [*range(100), None, None, None, None]:
        await queue.put(item)
    await asyncio.gather(*workers)
    return sum(results)


def run():
    for _ in range(6):
        add = accumulator()
        for number in range(2000):
            area(number, 3, scale=2)
            area(number, colour="red", size=3)
            add(number)
            min(number, 7), max(1, number, 3), abs(-number), divmod(number, 7), isinstance(number, (int, str))
        hanoi(10, "a", "b", "c", [])
        paths.cache_clear()
        paths(14, 14)
        ackermann(2, 40)
        sum(permutation[0] for permutation in permutations(list(range(6))))
        queens(6)
        pipeline(1500)
        sent()
        failures()
        asyncio.run(schedule())
        functools.reduce(operator.xor, range(3000))
        [functools.partial(area, 3, scale=number)(number) for number in range(300)]
