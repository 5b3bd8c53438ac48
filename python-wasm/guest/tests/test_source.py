"""Cutting a program into statements and last expression: the same value and lines as the slow, certain way."""

import unittest

from exuvia_guest import source as sources
from exuvia_guest.source import compile_program

# Program, value of its last expression (None: there is none, or it is None).
PROGRAMS = [
    ("1 + 1", 2),
    ("", None),
    ("\n\n", None),
    ("# nothing", None),
    ("x = 1", None),
    ("x = 1\nx", 1),
    ("x = 1; x", 1),
    ("x = 1\n[\n x,\n x]", [1, 1]),
    ("x = 1\n(x\n)", 1),
    ("'''a\nb = 1\n'''", "a\nb = 1\n"),
    ("f = dict\nf(\na = 1,\nb = 2)", {"a": 1, "b": 2}),
    ("f = dict\nf(\na = 1,\nb = 2\n)", {"a": 1, "b": 2}),
    ("[i for\ni in (1, 2)\n]", [1, 2]),
    ("[i\nfor i in (1, 2)]", [1, 2]),
    ("len('''\nimport os\n''')", 11),
    ("len('''\nreturn x''')", 9),
    ("if True:\n    5", None),
    ("for i in (1, 2): i", None),
    ("def f():\n    return 1\nf()", 1),
    ("@property\ndef f(self): pass", None),
    ("class A:\n    x = 1\nA.x", 1),
    ("x = {}\nx['a=b'] = 5", None),
    ("x = {'a=b': 5}\nx['a=b']", 5),
    ("x = 5\nx == 5", True),
    ("x = 5\nx <= 5", True),
    ("x = 5\nx += 1", None),
    ("x: int = 5", None),
    ("a, b = 1, 2\na, b", (1, 2)),
    ("(lambda x=5: x)()", 5),
    ("lambda_ = 5\nlambda_", 5),
    ("match = 5\nmatch", 5),
    ("match 5:\n    case 5: x = 1\nx", 1),
    ("match 5:\n    case _: 1", None),
    ("try:\n    1\nfinally:\n    2", None),
    ("with open('/dev/null'):\n    3", None),
    ("1 if True else 2", 1),
    ("1 and \\\n2", 2),
    ("x = \\\n2", None),
    ("not 1", False),
    ("x = 1\n\nx # = 2\n# x = 3\n", 1),
    ("f'{1=}'", "1=1"),
    ("print", print),
    ("import os; os.sep", "/"),
    ("if 1: x = 2\nx", 2),
    ("from __future__ import annotations\n1", 1),
    ("'doc'\n5", 5),
    ("x = [\n]\nx", []),
    ("x = '''\n'''\nx", "\n"),
    ("'a' 'b'\n'c'", "c"),
    ("*[1], 2", (1, 2)),
    ("del_ = 3\ndel_", 3),
]


def value_of(head, tail):
    names = {"__name__": "__main__"}
    if head is not None:
        exec(head, names)
    value = None if tail is None else eval(tail, names)
    return value


class Source(unittest.TestCase):
    def test_values(self):
        for program, value in PROGRAMS:
            with self.subTest(program):
                self.assertEqual(value, value_of(*compile_program(program, "p")))
                self.assertEqual(value, value_of(*sources._by_tree(program, "p")))

    def test_lines(self):
        program = "x = 1\n\n\nx.\\\nnowhere"
        _, tail = compile_program(program, "p")
        try:
            eval(tail, {"x": 1})
        except AttributeError as error:
            self.assertEqual(5, error.__traceback__.tb_next.tb_lineno)

    def test_wrong_programs(self):
        for program in ("x = (", "1 +", "return", "f(\n", "x\n  y", "'''", "a b", "if", "await x", ")", "x = 1\0"):
            with self.subTest(program):
                with self.assertRaises(SyntaxError) as ours:
                    compile_program(program, "p")
                with self.assertRaises(SyntaxError) as theirs:
                    compile(program, "p", "exec")
                self.assertEqual(str(theirs.exception), str(ours.exception))

    def test_future_reaches_expression(self):
        head, tail = compile_program("from __future__ import annotations\n(lambda x: x)", "p")
        self.assertTrue(tail.co_flags & sources.FUTURES)
