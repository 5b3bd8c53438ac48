"""The standard library alone."""
import http.client
import http.cookiejar
import json
import urllib.error
import urllib.parse
import urllib.request

URL = "{URL}"

with urllib.request.urlopen(f"{URL}/plain") as response:
    print(response.status, response.reason, response.headers.get_content_type(), response.geturl() == f"{URL}/plain")
    echo = json.load(response)
    print(echo["path"], sorted(name for name, _ in echo["headers"] if name != "Connection"))
form = urllib.parse.urlencode({"a": "1", "b": "ä"}).encode()
print(json.load(urllib.request.urlopen(f"{URL}/form", form))["body"])
request = urllib.request.Request(f"{URL}/put", data=b"{}", method="PUT", headers={"Content-Type": "application/json"})
print(json.load(urllib.request.urlopen(request))["method"])
jar = http.cookiejar.CookieJar()
opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
opener.open(f"{URL}/cookie").read()
print(sorted(cookie.name for cookie in jar), dict(json.load(opener.open(URL))["headers"])["Cookie"])
try:
    urllib.request.urlopen(f"{URL}/status/404")
except urllib.error.HTTPError as error:
    print(error.code, error.reason, error.read())
print(json.load(urllib.request.urlopen(f"{URL}/redirect?/landed"))["path"])
try:
    urllib.request.urlopen(f"{URL}/silent", timeout=0.2)
except TimeoutError as error:
    print(type(error).__name__, error)
password = urllib.request.HTTPPasswordMgrWithDefaultRealm()
password.add_password(None, URL, "u", "p")
with urllib.request.urlopen(f"{URL}/bytes/100000") as response:
    print(len(response.read(10)), len(response.read1(10)), len(response.read()))
path, headers = urllib.request.urlretrieve(f"{URL}/bytes/5000")
print(len(open(path, "rb").read()))

host = urllib.parse.urlsplit(URL)
line = http.client.HTTPConnection(host.hostname, host.port, timeout=5)
for n in range(3):
    line.request("POST", f"/line/{n}", body=b"x" * n, headers={"X-N": str(n)})
    response = line.getresponse()
    print(response.status, response.version, response.getheader("etag"), json.loads(response.read())["length"], response.isclosed())
line.request("POST", "/pieces", body=iter([b"a", b"bc"]), encode_chunked=True)
print(json.loads(line.getresponse().read())["body"])
line.putrequest("PUT", "/by-hand")
line.putheader("Content-Length", "4")
line.endheaders()
line.send(b"by ")
line.send(b"h")
print(json.loads(line.getresponse().read())["body"])
line.request("GET", "/chunks")
print(line.getresponse().read())
try:
    line.request("GET", "/bad\npath")
except http.client.InvalidURL as error:
    print(type(error).__name__)
