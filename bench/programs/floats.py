"""A float loop with calls into math: the Mandelbrot set and a sum of sines."""

from math import sin


def run():
    inside = 0
    for y in range(-24, 24):
        for x in range(-32, 16):
            a = b = 0.0
            for _ in range(30):
                a, b = a * a - b * b + x / 20, 2 * a * b + y / 20
                if a * a + b * b > 4.0:
                    break
            else:
                inside += 1
    return inside, round(sum(sin(k * 0.001) for k in range(20000)), 6)
