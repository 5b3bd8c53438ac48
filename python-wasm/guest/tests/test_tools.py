"""Tools as functions, with a host that has one server."""

import unittest

from booted import host, run_program

ADD = {
    "parameters": [
        {"name": "a", "required": True, "annotation": "int"},
        {"name": "b", "required": False, "default": 2, "annotation": "int"},
    ],
    "doc": "Add two numbers.",
}


def asked(message):
    return 0, {key: value for key, value in message.items() if key != "op"}


class Tools(unittest.TestCase):
    def setUp(self):
        host.effects.clear()
        host.tools.clear()
        host.tools["mcp_Math_add"] = asked

    def result(self, source, **parameters):
        outcome = run_program(source, **parameters)
        self.assertNotIn("error", outcome)
        return outcome.get("result")

    def test_arguments_arrive_as_given(self):
        self.assertEqual({"name": "mcp_Math_add"}, self.result("mcp_Math_add()"))
        self.assertEqual(
            {"name": "mcp_Math_add", "positional": [1, "x"], "args": {"b": None}},
            self.result("mcp_Math_add(1, 'x', b=None)"),
        )

    def test_values_become_what_they_would_in_a_result(self):
        source = "import datetime, decimal\nmcp_Math_add(day=datetime.date(2026, 1, 2), no=float('nan'), some={3})"
        self.assertEqual({"day": "2026-01-02", "no": None, "some": [3]}, self.result(source)["args"])

    def test_what_has_no_json_never_leaves(self):
        outcome = run_program("mcp_Math_add(a={'x': object()})")
        self.assertEqual("ToolArgumentError", outcome["error"]["type"])
        self.assertEqual(
            "`mcp_Math_add`: the argument `a.x` has no form in JSON, or is too large", outcome["error"]["message"]
        )
        self.assertEqual([], host.effects)

    def test_names_in_strings_threads_and_saved_references(self):
        source = (
            "from concurrent.futures import ThreadPoolExecutor\n"
            "saved = [mcp_Math_add]\n"
            "with ThreadPoolExecutor() as pool:\n"
            "    in_threads = list(pool.map(saved[0], [1, 2]))\n"
            "[in_threads[1]['positional'], eval('mcp_Math_add')(3)['positional'], globals()['mcp_Math_add'](4)['positional']]"
        )
        self.assertEqual([[2], [3], [4]], self.result(source))

    def test_the_program_s_own_names_win(self):
        self.assertEqual(3, self.result("mcp_Math_add", inputs={"mcp_Math_add": 3}))
        self.assertEqual(5, self.result("def mcp_Math_add(): return 5\nmcp_Math_add()"))
        self.assertEqual([], host.effects)

    def test_nothing_is_asked_before_it_is_needed(self):
        self.result("mcp_Math_add, mcp_Nobody_knows\nNone")
        self.assertEqual([], host.effects)

    def test_signature_and_documentation(self):
        host.tools["mcp_Math_add"] = lambda message: (0, ADD)
        source = "import inspect\n[str(inspect.signature(mcp_Math_add)), inspect.getdoc(mcp_Math_add), repr(mcp_Math_add)]"
        self.assertEqual(["(a: 'int', b: 'int' = 2)", "Add two numbers.", "<tool mcp_Math_add>"], self.result(source))
        self.assertEqual(["describe"], [effect["op"] for effect in host.effects])

    def test_errors_are_the_program_s_to_catch(self):
        for kind in ("ToolError", "ToolNotAvailable", "ToolArgumentError", "ToolInDoubt", "PolicyDenied"):
            host.tools["mcp_Math_add"] = lambda message: (0, {"error": {"type": kind, "message": "no"}})
            self.assertEqual("no", self.result(f"try:\n    mcp_Math_add()\nexcept {kind} as error:\n    text = str(error)\ntext"))
            outcome = run_program("mcp_Math_add()")
            self.assertEqual((kind, "no", 1), tuple(outcome["error"][key] for key in ("type", "message", "line")))

    def test_texts_are_parsed_if_they_can_be(self):
        from exuvia_guest.host import value

        self.assertEqual([1], value(b'{"text": "[1]"}'))
        self.assertEqual("[1", value(b'{"text": "[1"}'))
        self.assertEqual(b"[" * 10**6, value(b'{"text": "' + b"[" * 10**6 + b'"}').encode())

    def test_sdk(self):
        source = (
            "from datagen_sdk import DatagenClient, DatagenToolError, DatagenAuthError\n"
            "client = DatagenClient(api_key='x', base_url='https://example.org')\n"
            "client.execute_tool('mcp_Math_add', {'a': 1})"
        )
        self.assertEqual({"name": "mcp_Math_add", "args": {"a": 1}}, self.result(source))
        for kind, expected in (("ToolError", "DatagenToolError"), ("ToolNotAvailable", "DatagenAuthError")):
            host.tools["mcp_Math_add"] = lambda message: (0, {"error": {"type": kind, "message": "no"}})
            self.assertEqual(expected, run_program(source)["error"]["type"].rpartition(".")[2])
