"""pickle and copy: objects out and in again."""

import copy
import pickle


class Row:
    def __init__(self, number):
        self.number, self.name, self.values = number, f"row {number}", [number * 0.5, number, None]


def run():
    rows = {number: Row(number) for number in range(300)}
    for _ in range(5):
        rows = pickle.loads(pickle.dumps(rows))
    deep = copy.deepcopy([row.values for row in rows.values()])
    return len(rows), len(deep), rows[7].name
