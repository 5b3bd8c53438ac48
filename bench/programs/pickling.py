"""pickle and copy: objects out and in again."""

import copy
import pickle
from collections import OrderedDict
from datetime import date
from fractions import Fraction


def row(number):
    values = [number * 0.5, number, None, {number}, f"row {number}"]
    return OrderedDict(number=number, day=date(2026, 1 + number % 12, 1), share=Fraction(number, 7), values=values)


def run():
    rows = {number: row(number) for number in range(200)}
    for _ in range(4):
        rows = pickle.loads(pickle.dumps(rows))
    deep = copy.deepcopy([row["values"] for row in rows.values()])
    return len(rows), len(deep), str(rows[7]["share"])
