"""re: searching, splitting and replacing."""

import re

LOG = "\n".join(
    f'10.0.{i % 256}.{i % 7} - - [12/Mar/2026:10:{i % 60:02d}:00] "GET /item/{i}?q=a{i} HTTP/1.1" {200 + i % 5} {i * 37}'
    for i in range(400)
)
LINE = re.compile(r'^(\S+) \S+ \S+ \[([^\]]+)\] "(\w+) ([^ "]+)[^"]*" (\d{3}) (\d+)$', re.M)
WORD = re.compile(r"[a-z]+", re.I)


def run():
    size = 0
    for _ in range(6):
        size += sum(int(match[6]) for match in LINE.finditer(LOG))
        size += len(WORD.findall(LOG)) + len(re.sub(r"\d+", "#", LOG)) + len(re.split(r"[\s/]+", LOG))
    return size
