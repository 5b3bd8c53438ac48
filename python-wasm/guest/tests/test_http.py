"""The framing that `http.client`'s callers put around a body, and what the host is told of a request."""

import http.client
import unittest

import booted
from exuvia_guest.http.http_client import Frames

HEAD = {"status": 200, "reason": "OK", "version": "HTTP/1.1", "headers": [["etag", "x"]], "end": True}


class FramesTest(unittest.TestCase):
    def test_the_framing_comes_off_wherever_it_is_cut(self):
        framed = b"3\r\nabc\r\nA;ext=1\r\n0123456789\r\n1\r\n\r\r\n0\r\n\r\n"
        for first in range(len(framed)):
            for second in range(first, len(framed)):
                frames = Frames()
                parts = framed[:first], framed[first:second], framed[second:]
                self.assertEqual(b"".join(map(frames.contents, parts)), b"abc0123456789\r", (first, second))
                self.assertTrue(frames.ended)


class RequestTest(unittest.TestCase):
    def setUp(self):
        self.host = booted.host
        self.host.effects.clear()
        self.host.tools["http"] = lambda message: (0, HEAD)

    def test_a_request_is_one_effect(self):
        line = http.client.HTTPConnection("a.example", 8080, timeout=1.5)
        line.request("POST", "/x?y=1", body=b"abc", headers={"X-A": "\xe4"})
        response = line.getresponse()
        self.assertEqual((response.status, response.getheader("etag"), response.headers.keys()), (200, "x", ["ETag"]))
        (effect,) = self.host.effects
        self.assertEqual(effect["headers"][-1], ["X-A", "\xe4"])
        self.assertEqual((effect["method"], effect["host"], effect["port"], effect["target"]), ("POST", "a.example", 8080, "/x?y=1"))
        self.assertEqual((effect["connect_ms"], effect["read_ms"]), (1500, 1500))

    def test_a_refusal_is_raised_where_a_socket_would_fail(self):
        error = {"type": "PolicyDenied", "message": "[POLICY DENIED] No.", "rule": "/r", "reason": "No.", "retry_after_s": None}
        self.host.tools["http"] = lambda message: (0, {"error": error})
        with self.assertRaises(PermissionError) as raised:
            http.client.HTTPConnection("a.example").request("GET", "/")
        self.assertEqual(str(raised.exception), "[POLICY DENIED] No. (rule /r)")
        self.assertEqual(raised.exception.__cause__.rule, "/r")


if __name__ == "__main__":
    unittest.main()
