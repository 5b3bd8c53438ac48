"""Attributes, methods, properties, inheritance, operators."""


class Vector:
    __slots__ = ("x", "y")

    def __init__(self, x, y):
        self.x, self.y = x, y

    def __add__(self, other):
        return Vector(self.x + other.x, self.y + other.y)

    @property
    def length2(self):
        return self.x * self.x + self.y * self.y


class Shape:
    count = 0

    def __init__(self, at):
        self.at = at
        Shape.count += 1

    def area(self):
        return 0

    def move(self, by):
        self.at = self.at + by
        return self


class Square(Shape):
    def __init__(self, at, side):
        super().__init__(at)
        self.side = side

    def area(self):
        return self.side * self.side


class Circle(Shape):
    def __init__(self, at, radius):
        super().__init__(at)
        self.radius = radius

    def area(self):
        return 3 * self.radius**2


def run():
    Shape.count = 0
    shapes = [Square(Vector(i, i), i) if i % 2 else Circle(Vector(i, -i), i) for i in range(200)]
    step, total = Vector(1, 2), 0
    for _ in range(40):
        for shape in shapes:
            total += shape.move(step).area() + shape.at.length2
    return total, Shape.count
