"""urllib3 by itself: a pool, its retries, and bodies read in pieces."""
import urllib3

URL = "{URL}"

http = urllib3.PoolManager(num_pools=2, headers={"User-Agent": "tool/1"}, timeout=urllib3.Timeout(connect=5, read=5))
answer = http.request("GET", f"{URL}/a", fields={"q": "1"})
print(answer.status, answer.json()["path"], dict(answer.json()["headers"])["User-Agent"], answer.version, answer.reason)
print(http.request("POST", f"{URL}/json", json={"a": 1}).json()["body"])
print(http.request("POST", f"{URL}/raw", body=b"raw").json()["body"])
print(http.request("GET", f"{URL}/flaky/urllib3", retries=urllib3.Retry(5, status_forcelist=[503], backoff_factor=0)).status)
answer = http.request("GET", f"{URL}/bytes/100000", preload_content=False)
print(len(answer.read(1000)), sum(len(part) for part in answer.stream(4096)))
answer.release_conn()
answer = http.request("GET", f"{URL}/chunks", preload_content=False)
print(list(answer.stream(5)) and answer.data)
for path in ("/silent", "/hangs-up", "/short"):
    try:
        http.request("GET", URL + path, retries=False, timeout=0.2)
    except urllib3.exceptions.HTTPError as error:
        print(path, type(error).__name__)
try:
    http.request("GET", f"{URL}/redirect?/redirect?/redirect", retries=2)
except urllib3.exceptions.MaxRetryError as error:
    print(error.reason)
