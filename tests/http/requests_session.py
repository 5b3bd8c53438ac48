"""A session with authentication, cookies, default headers and hooks."""
import requests
from requests.auth import HTTPBasicAuth

URL = "{URL}"

with requests.Session() as session:
    session.auth = HTTPBasicAuth("user", "pass")
    session.headers.update({"X-Client": "report/1.0"})
    session.hooks["response"].append(lambda response, **_: print("hook", response.status_code, response.request.method))
    first = session.get(f"{URL}/cookie")
    print(sorted(session.cookies.get_dict().items()))
    echo = session.get(f"{URL}/me", params={"page": 2, "tags": ["a", "b"], "q": "ä ö"}).json()
    headers = {name.lower(): value for name, value in echo["headers"]}
    print(echo["path"], headers["authorization"], headers["cookie"], headers["x-client"])
    print(sorted(headers))
    session.cookies.clear()
    print("cookie" in {name.lower() for name, _ in session.get(URL).json()["headers"]})

answer = requests.get(f"{URL}/bearer", headers={"Authorization": "Bearer abc"})
print(answer.ok, answer.reason, answer.encoding, answer.headers["content-type"], answer.headers["ETAG"], "Etag" in answer.headers)
print(dict(answer.headers).keys(), answer.elapsed.total_seconds() >= 0, answer.is_redirect)
