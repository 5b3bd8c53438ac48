"""A client with a base URL, authentication, cookies, event hooks and a response's parts."""
import httpx

URL = "{URL}"


def log(response):
    print("hook", response.request.method, response.status_code)


with httpx.Client(base_url=URL, auth=("user", "pass"), headers={"X-Client": "1"}, event_hooks={"response": [log]}) as client:
    client.get("/cookie")
    print(sorted(client.cookies.items()))
    echo = client.get("/me", params={"page": 2, "q": "ä ö"}).json()
    headers = dict(echo["headers"])
    print(echo["path"], sorted(name.lower() for name in headers))
    print(client.post("/json", json={"a": [1, None]}).json()["body"])
    print(client.put("/form", data={"a": "1", "b": ["2", "3"]}).json()["body"])
    print(client.post("/content", content=iter([b"in ", b"pieces"])).json()["body"])
    print(client.request("DELETE", "/nothing").json()["length"], client.options("/o").json()["method"])
    upload = client.post("/upload", files={"f": ("a.txt", b"hello", "text/plain")}, data={"note": "x"}).json()
    print(upload["length"] > 100, "hello" in upload["body"])

answer = httpx.get(f"{URL}/status/404")
print(answer, answer.reason_phrase, answer.http_version, answer.is_client_error)
try:
    answer.raise_for_status()
except httpx.HTTPStatusError as error:
    print(str(error).replace(URL, "").splitlines()[0])
print(httpx.get(f"{URL}/redirect?/landed").status_code, httpx.get(f"{URL}/redirect?/landed", follow_redirects=True).json()["path"])
with httpx.stream("GET", f"{URL}/chunks") as response:
    print(list(response.iter_lines()), response.num_bytes_downloaded)
with httpx.stream("GET", f"{URL}/bytes/1000000") as response:
    print(sum(len(part) for part in response.iter_bytes(4096)))
for path, timeout in (("/silent", 0.2), ("/stalls", httpx.Timeout(5, read=0.2)), ("/short", 5), ("/hangs-up", 5)):
    try:
        httpx.get(URL + path, timeout=timeout)
    except httpx.TransportError as error:
        print(path, type(error).__name__)
for wrong in ("no-scheme", "ftp://a.example/"):
    try:
        httpx.get(wrong)
    except httpx.UnsupportedProtocol as error:
        print(error)
transport = httpx.HTTPTransport(retries=2)
with httpx.Client(transport=transport) as client:
    print(client.get(URL).status_code)
