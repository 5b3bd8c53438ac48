"""A bank and a zoo of small classes: attributes, inheritance, operators, dataclasses, enumerations, exceptions."""

import collections
import contextlib
import dataclasses
import enum
import functools


class Kind(enum.Enum):
    DEPOSIT = 1
    WITHDRAWAL = 2
    FEE = 3


class Refused(Exception):
    def __init__(self, account, amount):
        super().__init__(f"{account.owner}: {amount}")
        self.amount = amount


@dataclasses.dataclass(order=True)
class Entry:
    day: int
    amount: float
    kind: Kind = dataclasses.field(default=Kind.DEPOSIT, compare=False)


Balance = collections.namedtuple("Balance", "owner total entries")


class Account:
    fee = 0.25
    opened = 0

    def __init__(self, owner, limit=100.0):
        self.owner = owner
        self.limit = limit
        self.entries = []
        self._total = 0.0
        Account.opened += 1

    @property
    def total(self):
        return self._total

    @total.setter
    def total(self, value):
        if value < -self.limit:
            raise Refused(self, value)
        self._total = value

    def book(self, day, amount):
        self.total = self.total + amount
        self.entries.append(Entry(day, amount, Kind.DEPOSIT if amount >= 0 else Kind.WITHDRAWAL))

    def close(self):
        return Balance(self.owner, self.total, len(self.entries))

    @classmethod
    def named(cls, number, **options):
        return cls(f"{cls.__name__} {number}", **options)

    @staticmethod
    def rate(day):
        return 1.0 + (day % 7) / 1000


class Savings(Account):
    def book(self, day, amount):
        super().book(day, amount * self.rate(day))


class Checking(Account):
    fee = 0.5

    def book(self, day, amount):
        try:
            super().book(day, amount)
        except Refused as refused:
            super().book(day, -self.fee)
            self.last = refused.amount
        finally:
            self.touched = day


class Polynomial:
    __slots__ = ("terms", "__dict__")

    def __init__(self, *terms):
        self.terms = list(terms)

    def __add__(self, other):
        longer, shorter = sorted((self.terms, other.terms), key=len, reverse=True)
        return Polynomial(*[a + (shorter[i] if i < len(shorter) else 0) for i, a in enumerate(longer)])

    def __mul__(self, other):
        product = [0] * (len(self) + len(other) - 1)
        for i, a in enumerate(self.terms):
            for j, b in enumerate(other.terms):
                product[i + j] += a * b
        return Polynomial(*product)

    def __len__(self):
        return len(self.terms)

    def __eq__(self, other):
        return isinstance(other, Polynomial) and self.terms == other.terms

    def __hash__(self):
        return hash(tuple(self.terms))

    def __getitem__(self, index):
        return self.terms[index]

    def __iter__(self):
        return iter(self.terms)

    def __contains__(self, term):
        return term in self.terms

    def __call__(self, x):
        return functools.reduce(lambda sum, term: sum * x + term, reversed(self.terms), 0)

    def __getattr__(self, name):
        if name.startswith("term"):
            return self.terms[int(name[4:])]
        raise AttributeError(name)


class Registry(dict):
    def __missing__(self, key):
        self[key] = value = len(self)
        return value


class Visitor:
    def visit(self, node):
        return getattr(self, f"visit_{type(node).__name__}", self.other)(node)

    def visit_int(self, node):
        return node

    def visit_str(self, node):
        return len(node)

    def visit_tuple(self, node):
        operation, *rest = node
        values = [self.visit(one) for one in rest]
        if operation == "add":
            return sum(values)
        return max(values) if operation == "max" else -values[0]

    def other(self, node):
        return 0


@contextlib.contextmanager
def counted(counts, name):
    counts[name] += 1
    try:
        yield counts
    except ValueError:
        counts["errors"] += 1


def bank():
    accounts = [kind.named(number) for number in range(30) for kind in (Savings, Checking)]
    for day in range(60):
        for number, account in enumerate(accounts):
            account.book(day, ((day * 7 + number * 13) % 41) - 20.5)
    ranked = sorted((account.close() for account in accounts), key=lambda balance: (-balance.total, balance.owner))
    largest = max(entry for account in accounts for entry in account.entries)
    return ranked[0].owner, largest.day


def algebra():
    product = Polynomial(1)
    for number in range(12):
        product = product * Polynomial(number, 1) + Polynomial(1, 2, 3)
    seen = {product: 1}
    return product(3), product.term1, 4 in product, product in seen, sum(product), product[2]


def walk():
    tree = ("add", 1, "ab", ("max", 3, ("neg", 4), None), ("add", *range(20)))
    visitor, registry = Visitor(), Registry()
    counts = collections.defaultdict(int)
    for number in range(300):
        with counted(counts, "walks"):
            registry[f"name{number % 40}"]
            if number % 9 == 0:
                raise ValueError(number)
            counts["sum"] += visitor.visit(tree)
    return dict(counts), len(registry)


def run():
    for _ in range(12):
        bank()
        algebra()
        walk()
