"""A shop's API on loopback, which answers whoever has its key. For README's example: `SHOP_KEY=… python3 examples/shop_api.py`"""

import http.server
import json
import os
import sys

KEY = os.environ.get("SHOP_KEY") or sys.exit("set SHOP_KEY: the key that this API asks for")
PORT = int(os.environ.get("PORT", "8899"))
SALES = [
    {"product": product, "units": units, "price": price}
    for product, units, price in [
        ("kettle", 28, 34.90),
        ("toaster", 16, 47.25),
        ("lamp", 21, 18.25),
        ("kettle", 9, 32.90),
        ("grinder", 7, 89.00),
        ("scales", 13, 22.50),
    ]
]


class Shop(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.headers["Authorization"] != f"Bearer {KEY}":
            self.answer(401, {"error": "this key opens nothing"})
        elif self.path != "/sales":
            self.answer(404, {"error": "there is /sales alone"})
        else:
            self.answer(200, SALES)

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Shop)
    print(f"http://127.0.0.1:{server.server_port}/sales", flush=True)
    server.serve_forever()
