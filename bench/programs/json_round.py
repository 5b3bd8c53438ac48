"""json: a document out and in again."""

import json

DOCUMENT = {
    "rows": [{"id": i, "name": f"name {i}", "price": i * 1.25, "tags": ["a", "b", "ü"], "ok": i % 2 == 0} for i in range(400)]
}


def run():
    total = 0
    for _ in range(8):
        total += len(json.dumps(json.loads(json.dumps(DOCUMENT))))
    return total
