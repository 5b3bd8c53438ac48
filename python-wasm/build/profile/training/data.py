"""Documents in and out: json, pickle, struct, compression, sums, databases of records, source text compiled."""

import ast
import base64
import collections
import copy
import hashlib
import html
import io
import json
import operator
import pickle
import string
import struct
import types
import xml.etree.ElementTree as ElementTree
import zlib

SOURCE = '''
import sys

class Stack(list):
    """A stack."""
    limit = 3

    def push(self, item, *, twice=False):
        for _ in range(2 if twice else 1):
            if len(self) >= self.limit:
                raise OverflowError(f"full: {item!r}")
            self.append(item)
        return self

def main(argv=None):
    stack, failed = Stack(), 0
    for word in (argv or "a b c d").split():
        try:
            stack.push(word, twice=word in {"b", "c"})
        except OverflowError as error:
            failed += 1 if "full" in str(error) else 0
        finally:
            failed += 0
    return [item.upper() for item in stack if item != "z"], {"failed": failed, **{"x": 1}}, lambda x, y=2: x**y

result = main()[1]["failed"]
'''


class Point:
    def __init__(self, x, y, label):
        self.x, self.y, self.label = x, y, label

    def __reduce__(self):
        return Point, (self.x, self.y, self.label)


def order(number):
    return {
        "order": number,
        "customer": {"name": f"Customer {number % 17}", "address": ["Main street 5", None, "Ünterstadt"], "vip": number % 5 == 0},
        "lines": [{"article": f"A-{line:04d}", "count": line + 1, "price": 9.99 * line, "note": 'said "no"\n'} for line in range(6)],
        "total": number * 3.14159,
    }


def documents():
    orders = [order(number) for number in range(60)]
    text = json.dumps(orders)
    back = json.loads(text)
    pretty = json.dumps(back[:10], indent=2, sort_keys=True, ensure_ascii=False)
    return len(pretty), back == orders, json.loads('[1, -2.5e3, true, null, "\\u00fc\\n", {}, []]')


def objects():
    points = [Point(number, number * 0.5, f"point {number}") for number in range(200)]
    for protocol in (2, 4, 5):
        points = pickle.loads(pickle.dumps(points, protocol))
    tree = copy.deepcopy({"points": points[:60], "nested": [[1, 2], (3, {4: 5})], "shared": [points[0]] * 3})
    tuples = pickle.loads(pickle.dumps([(number, str(number), {number: [number]}, float(number)) for number in range(300)]))
    return tree["points"][3].label, copy.copy(points)[2].y, len(tuples)


def binary():
    packed = b"".join(struct.pack("<IHdB", number, number % 999, number / 3, number % 256) for number in range(300))
    total = sum(record[0] + record[2] for record in struct.iter_unpack("<IHdB", packed))
    squeezed = zlib.compress(packed)
    encoded = base64.b64encode(squeezed)
    stream = io.BytesIO(zlib.decompress(base64.b64decode(encoded)))
    return total, stream.read(10), hashlib.sha256(packed).hexdigest(), hashlib.md5(packed).hexdigest(), zlib.crc32(packed)


def trees():
    root = ElementTree.Element("library")
    for number in range(60):
        book = ElementTree.SubElement(root, "book", id=str(number))
        ElementTree.SubElement(book, "title").text = html.escape(f"<Title & {number}>")
    back = ElementTree.fromstring(ElementTree.tostring(root))
    return sum(int(book.get("id")) for book in back.iter("book")), back.find("book/title").text


def records():
    rows = [types.SimpleNamespace(id=number, team="red green blue".split()[number % 3], points=number * 7 % 31) for number in range(400)]
    by = collections.defaultdict(list)
    for row in sorted(rows, key=operator.attrgetter("team", "points")):
        by[row.team].append(row.points)
    index = collections.ChainMap({row.id: row for row in rows}, {-1: None})
    ordered = collections.OrderedDict(sorted(by.items(), key=lambda item: -sum(item[1])))
    ordered.move_to_end("red")
    return next(iter(ordered)), index[3].points, collections.Counter(row.points for row in rows).most_common(3)


def compiled():
    tree = ast.parse(SOURCE)
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    scope = {"__name__": "compiled"}
    exec(compile(tree, "source", "exec"), scope)
    again = compile(ast.unparse(tree), "source", "exec")
    value = eval("sum(n * k for n in range(10) for k in (1, 2) if n % 2)", {})
    return scope["result"], len(names), len(again.co_consts), value, string.Template("$a and ${b}").substitute(a=1, b=2)


def run():
    for _ in range(6):
        documents()
        objects()
        binary()
        trees()
        records()
        compiled()
