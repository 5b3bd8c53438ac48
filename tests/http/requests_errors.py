"""What programs catch: status, timeouts, refused connections, redirects without an end, retries."""
import time

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

URL = "{URL}"

for path in ("/status/404", "/status/500", "/status/204"):
    answer = requests.get(URL + path)
    try:
        answer.raise_for_status()
        print(path, "fine", answer.status_code, answer.text == "")
    except requests.HTTPError as error:
        print(path, str(error).replace(URL, ""), error.response.status_code)

for path, timeout in (("/silent", 0.2), ("/silent", (1, 0.2)), ("/stalls", 0.2)):
    began = time.monotonic()
    try:
        requests.get(URL + path, timeout=timeout)
    except requests.Timeout as error:
        print(path, "timeout", type(error).__name__)
    except requests.ConnectionError as error:
        print(path, "connection", type(error).__name__)

for path in ("/short", "/hangs-up", "/garbage"):
    try:
        requests.get(URL + path)
    except requests.RequestException as error:
        print(path, type(error).__name__, type(error.args[0]).__name__)

try:
    requests.get(f"{URL}/redirect?/redirect?/redirect")
except requests.TooManyRedirects as error:
    print(error)
answer = requests.post(f"{URL}/redirect?/landed", data="x")
print(answer.request.method, answer.json()["path"], [one.status_code for one in answer.history])
print(requests.get(f"{URL}/redirect?/landed", allow_redirects=False).status_code)

with requests.Session() as session:
    retries = Retry(total=3, status_forcelist=[503], backoff_factor=0.01, allowed_methods=["GET"])
    session.mount("http://", HTTPAdapter(max_retries=retries))
    answer = session.get(f"{URL}/flaky/requests")
    print(answer.status_code, len(answer.raw.retries.history))
for wrong in ("no-scheme", "ftp://a.example/", "http://", "http://a b/"):
    try:
        requests.get(wrong)
    except requests.RequestException as error:
        print(wrong, type(error).__name__)
