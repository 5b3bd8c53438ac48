"""Strings, bytes, regular expressions, and modules that parse and print."""

import csv
import io
import re
import string
import textwrap
import tokenize
import unicodedata
import urllib.parse

PROSE = """It was noted, on the third day, that none of the 14 crates (each of 2.5 kg) had been opened; "strange", wrote
the clerk - and went home. Zürich, Łódź and 東京 were told by mail: post@example.org, a.b-c@mail.example.com, 2024-02-29."""
TOKEN = re.compile(r"\s*(?:(?P<number>\d+(?:\.\d*)?)|(?P<name>[A-Za-z_]\w*)|(?P<sign>[-+*/()=,]))")
MAIL = re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b")
DAY = re.compile(r"(\d{4})-(\d\d)-(\d\d)")
SETTINGS = "\n".join(f"[part{n}]\nname = value {n}\nsize={n * 3}\n# a note\nflag: {'yes' if n % 2 else 'no'}" for n in range(30))


def tokens(source):
    at = 0
    while match := TOKEN.match(source, at):
        yield match.lastgroup, match.group(match.lastgroup)
        at = match.end()


class Parser:
    """Sums and products, by recursive descent."""

    def __init__(self, source):
        self.tokens = [*tokens(source), (None, None)]
        self.at = 0

    def take(self, *signs):
        kind, text = self.tokens[self.at]
        if kind == "sign" and text in signs:
            self.at += 1
            return text
        return None

    def sum(self):
        value = self.product()
        while sign := self.take("+", "-"):
            value = value + self.product() if sign == "+" else value - self.product()
        return value

    def product(self):
        value = self.atom()
        while sign := self.take("*", "/"):
            value = value * self.atom() if sign == "*" else value / (self.atom() or 1)
        return value

    def atom(self):
        if self.take("("):
            value = self.sum()
            self.take(")")
            return value
        kind, text = self.tokens[self.at]
        self.at += 1
        return float(text) if kind == "number" else len(text or "")


def settings(text):
    parts, part = {}, None
    for line in text.splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line[0] == "[" and line[-1] == "]":
            part = parts[line[1:-1]] = {}
            continue
        key, _, value = line.partition("=" if "=" in line else ":")
        part[key.strip()] = value.strip()
    return parts


def counts(text):
    table = {}
    for character in text:
        table[character] = table.get(character, 0) + 1
    letters = [c for c in text if c.isalpha() and c not in string.punctuation]
    upper = "".join(c.upper() if i % 2 else c.lower() for i, c in enumerate(letters))
    rotated = text.translate(str.maketrans("abcdefgh", "bcdefgha"))
    return table, upper[::-1], rotated.count("a"), ord(text[3]), chr(200 + len(table))


def report(rows):
    lines = [f"{'name':<12}|{'amount':>10}|{'share':^9}"]
    for number in range(rows):
        lines.append(f"{'row ' + str(number):<12}|{number * 1.5:>10.2f}|{number / rows:^9.1%}")
        lines.append("%-6s %5d %x" % (f"r{number}", number * 7, number))
        lines.append("{:,} {!r} {name}".format(number * 1000, str(number), name=number))
    text = "\n".join(lines)
    return text, len(text.encode()), text.encode("utf-16").decode("utf-16") == text


def tables():
    out = io.StringIO()
    writer = csv.writer(out)
    for number in range(120):
        writer.writerow([number, f"name {number}", number / 3, 'a "quoted", one', ""])
    rows = list(csv.DictReader(io.StringIO(out.getvalue()), fieldnames=["id", "name", "share", "note", "empty"]))
    return sum(float(row["share"]) for row in rows)


def expressions():
    found = MAIL.findall(PROSE * 20)
    days = DAY.sub(lambda match: f"{match[3]}.{match[2]}.{match[1]}", PROSE * 20)
    words = re.split(r"\W+", PROSE * 10)
    long = [word for word in words if re.fullmatch(r"(?i)[aeiou]?\w{3,}[^aeiou]", word)]
    tags = re.findall(r"<(\w+)((?:\s+\w+=\"[^\"]*\")*)\s*/?>", '<a href="x" id="y"><br/><p class="z">text</p>' * 20)
    swapped = re.sub(r"(\w+) (\w+)", r"\2 \1", PROSE)
    return len(found), days[:10], len(long), len(tags), swapped, re.search(r"none|some|all$", PROSE * 5).start()


def data():
    raw = PROSE.encode()
    view = memoryview(raw)
    pieces = [bytes(view[i : i + 16]).hex() for i in range(0, len(raw), 16)]
    return b"".join(map(bytes.fromhex, pieces)) == raw, bytearray(raw).upper().find(b"CRATES"), raw.split(b" ")[3]


def run():
    for _ in range(8):
        Parser("1+2*(3-4.5)/x + (7*(2+2)) - name*3 " * 10).sum()
        settings(SETTINGS)
        counts(PROSE * 3)
        report(80)
        tables()
        expressions()
        data()
        textwrap.fill(PROSE * 4, 60)
        list(tokenize.generate_tokens(io.StringIO("def f(a, b=1):\n    return a + b * 2  # note\n" * 10).readline))
        [unicodedata.normalize("NFKD", word) for word in PROSE.split()]
        urllib.parse.parse_qs(urllib.parse.urlencode({f"key{n}": f"a value & {n}" for n in range(60)}))
        "; ".join(word.strip('.,()"').capitalize().ljust(9).rstrip() for word in PROSE.replace("\n", " ").split(" "))
        str(list(range(200))), repr({"a": [1.5, None, "x'y"]}), ascii(PROSE), PROSE.casefold() == PROSE
