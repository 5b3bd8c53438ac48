"""Floats, integers small and large, and the modules that count."""

import cmath
import datetime
import decimal
import fractions
import math
import random
import statistics


def integral(function, low, high, steps):
    width = (high - low) / steps
    total = function(low) + function(high)
    for step in range(1, steps):
        total += (4 if step % 2 else 2) * function(low + step * width)
    return total * width / 3


def newton(value):
    guess = value / 2 or 1.0
    while abs(guess * guess - value) > 1e-12 * value:
        guess = (guess + value / guess) / 2
    return guess


def pendulum(steps, dt=0.001):
    angle, speed, energy = 1.0, 0.0, 0.0
    for _ in range(steps):
        k1 = -9.81 * math.sin(angle)
        middle = angle + speed * dt / 2
        k2 = -9.81 * math.sin(middle)
        speed += (k1 + k2) / 2 * dt
        angle += speed * dt
        energy = max(energy, speed * speed / 2 - 9.81 * math.cos(angle))
    return angle, energy


def eliminate(size):
    matrix = [[1.0 / (i + j + 1) + (i == j) for j in range(size)] + [float(i)] for i in range(size)]
    for column in range(size):
        pivot = max(range(column, size), key=lambda row: abs(matrix[row][column]))
        matrix[column], matrix[pivot] = matrix[pivot], matrix[column]
        for row in range(column + 1, size):
            factor = matrix[row][column] / matrix[column][column]
            for k in range(column, size + 1):
                matrix[row][k] -= factor * matrix[column][k]
    answer = [0.0] * size
    for row in reversed(range(size)):
        rest = sum(matrix[row][k] * answer[k] for k in range(row + 1, size))
        answer[row] = (matrix[row][size] - rest) / matrix[row][row]
    return answer


def transform(values):
    if len(values) == 1:
        return values
    even, odd = transform(values[::2]), transform(values[1::2])
    half = len(values) // 2
    turned = [cmath.exp(-1j * cmath.pi * k / half) * odd[k] for k in range(half)]
    return [a + b for a, b in zip(even, turned)] + [a - b for a, b in zip(even, turned)]


def collatz(limit):
    longest = 0
    for start in range(1, limit):
        number, length = start, 0
        while number != 1:
            number = number // 2 if number % 2 == 0 else 3 * number + 1
            length += 1
        if length > longest:
            longest = length
    return longest


def bits(limit):
    total = 0
    for number in range(limit):
        total ^= (number << 3) & 0xFFFF | number >> 2
        total = ~total & 0x7FFFFFFF
        total += number.bit_length() + bin(number).count("1") - (number & -number)
    return total


def large():
    a, b = 0, 1
    for _ in range(800):
        a, b = b, a + b
    factorial = math.prod(range(1, 200))
    return a % 10**9, pow(3, 10**12, 2**61 - 1), factorial // a, len(str(factorial)), math.gcd(factorial, a), int("7" * 300), math.isqrt(factorial)


def prime(number):
    if number % 2 == 0:
        return number == 2
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in (2, 3, 5, 7, 11):
        power = pow(base, odd, number)
        if base % number == 0 or power in (1, number - 1):
            continue
        for _ in range(twos - 1):
            power = power * power % number
            if power == number - 1:
                break
        else:
            return False
    return True


def exact():
    with decimal.localcontext() as context:
        context.prec = 40
        total = sum(decimal.Decimal(1) / number for number in range(1, 150))
        rounded = total.quantize(decimal.Decimal("0.01")), total.sqrt()
    harmonic = sum((fractions.Fraction(1, number) for number in range(1, 60)), fractions.Fraction(0))
    return rounded, harmonic.limit_denominator(1000)


def days():
    day, step = datetime.datetime(2020, 1, 31, 12), datetime.timedelta(days=1, hours=5)
    total = 0
    for _ in range(200):
        day += step
        total += day.weekday() + (day - datetime.datetime(2019, 1, 1)).days + len(day.isoformat()) + len(day.strftime("%d %b"))
    return total, datetime.date.fromisoformat("2024-02-29") < day.date()


def samples():
    source = random.Random(4)
    values = [source.gauss(5, 2) for _ in range(600)]
    inside = sum(source.random() ** 2 + source.random() ** 2 < 1 for _ in range(4000))
    source.shuffle(values)
    chosen = source.sample(range(1000), 50), source.choices("abc", k=50), source.randint(1, 6)
    return statistics.fmean(values), statistics.median(values), statistics.stdev(values[:100]), inside, chosen


def run():
    for _ in range(5):
        integral(lambda x: x * x * math.exp(-x), 0.0, 4.0, 2000)
        [newton(float(number)) for number in range(1, 200)]
        pendulum(4000)
        eliminate(22)
        transform([complex(k % 17) for k in range(256)])
        collatz(500)
        bits(4000)
        large()
        [number for number in range(3, 1500) if prime(number)]
        exact()
        days()
        samples()
        [round(math.sqrt(number) + math.log(number) + math.atan2(number, 3) - number % 0.7, 3) for number in range(1, 2000)]
