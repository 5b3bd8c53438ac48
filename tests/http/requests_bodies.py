"""JSON, forms, files and streams, sent and received."""
import io

import requests

URL = "{URL}"

for arguments in (
    {"json": {"name": "ä", "n": [1, 2.5, None]}},
    {"data": {"a": "1", "b": ["2", "3"]}},
    {"data": b"\x00\xff raw"},
    {"data": "text ä".encode()},
    {"data": io.BytesIO(b"from a file")},
    {"data": iter([b"in ", b"pieces"])},
    {},
):
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        echo = requests.request(method, f"{URL}/body", **arguments).json()
        framing = [pair for pair in echo["headers"] if pair[0].lower() in ("content-type", "content-length", "transfer-encoding")]
        print(method, echo["length"], repr(echo["body"]), sorted(framing))

files = {"one": ("one.txt", io.BytesIO(b"1" * 10), "text/plain"), "two": ("two.bin", b"2" * 20)}
echo = requests.post(f"{URL}/upload", files=files, data={"note": "both"}).json()
kind = dict(echo["headers"])["Content-Type"]
boundary = kind.split("boundary=")[1]
print(kind.split(";")[0], echo["length"], echo["body"].replace(boundary, "BOUNDARY"))

with requests.get(f"{URL}/chunks", stream=True) as response:
    print(response.headers["transfer-encoding"], b"".join(response.iter_content(4)))
with requests.get(f"{URL}/chunks", stream=True) as response:
    print(list(response.iter_lines(decode_unicode=True)))
with requests.get(f"{URL}/bytes/1000000", stream=True) as response:
    print(sum(len(part) for part in response.iter_content(65536)), response.raw.read(10))
print(len(requests.get(f"{URL}/bytes/300000").content), requests.head(f"{URL}/bytes/5").headers["Content-Length"])
