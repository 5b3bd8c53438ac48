import json, csv, sqlite3, hashlib, gzip, xml.etree.ElementTree as tree, decimal, re, zoneinfo, email.message
db = sqlite3.connect(":memory:")
print(db.execute("select 6 * 7").fetchone()[0], hashlib.sha256(b"exuvia").hexdigest()[:12])
print(gzip.decompress(gzip.compress(b"abc")), tree.fromstring("<a><b/></a>")[0].tag)
