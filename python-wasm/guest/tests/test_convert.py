"""Conversion to JSON: bounds, and values that do not behave."""

import json
import unittest

from exuvia_guest.convert import Conversion, duration


def convert(value, budget=None):
    conversion = Conversion() if budget is None else Conversion(budget)
    return json.loads(conversion.to_json(value, "v")), conversion.reprs


class Bounds(unittest.TestCase):
    def test_budget_of_list(self):
        value, reprs = convert(list(range(100_000)), 1000)
        self.assertLess(len(value), 200)
        self.assertIn("left out from here on", value[-1])
        self.assertEqual([f"v.{len(value) - 1}"], reprs)

    def test_budget_of_text(self):
        value, reprs = convert("x" * 10_000, 100)
        self.assertEqual("x" * 100 + "… [9900 characters left out]", value)
        self.assertEqual(["v"], reprs)

    def test_budget_of_object(self):
        value, reprs = convert({str(i): "y" * 50 for i in range(1000)}, 1000)
        self.assertLess(len(json.dumps(value)), 2000)
        self.assertEqual("v.…", reprs[-1])

    def test_budget_is_shared(self):
        conversion = Conversion(1000)
        conversion.to_json("x" * 900, "a")
        self.assertLess(len(conversion.to_json("y" * 900, "b")), 300)

    def test_many_marks_are_bounded(self):
        _, reprs = convert([float("inf")] * 5000)
        self.assertEqual(1000, len(reprs))

    def test_wide_and_deep(self):
        value = "leaf"
        for _ in range(200):
            value = {"next": value}
        found, reprs = convert(value)
        self.assertEqual(1, len(reprs))
        self.assertLess(json.dumps(found).count("next"), 66 + 140)

    def test_keys_are_bounded(self):
        value, reprs = convert({"k" * 1_000_000: [float("inf")] * 2000})
        self.assertEqual([4097], [len(key) for key in value])
        self.assertLess(len(json.dumps(reprs)), 200_000)

    def test_same_value_twice_is_no_cycle(self):
        row = [1]
        self.assertEqual(([[1], [1]], []), convert([row, row]))


class Hostile(unittest.TestCase):
    def test_every_method_raises(self):
        def fail(*args, **kwargs):
            raise SystemExit("no")

        names = "__repr__ __str__ __iter__ __len__ __getattribute__ __hash__ __eq__ __getitem__ __int__ __float__ __index__ items keys"
        for base in (object, dict, list, tuple, set, str, int, float, bytes, Exception):
            kind = type("Hostile", (base,), dict.fromkeys(names.split(), fail))
            with self.subTest(base.__name__):
                json.dumps(convert(base.__new__(kind))[0])

    def test_contents_are_the_real_ones(self):
        class Liar(dict):
            def items(self):
                return [("lie", 1)]

        class Short(list):
            def __iter__(self):
                return iter(())

        self.assertEqual(({"a": 1}, []), convert(Liar(a=1)))
        self.assertEqual(([1, 2], []), convert(Short([1, 2])))

    def test_endless_repr(self):
        class Long:
            def __repr__(self):
                return "z" * 1_000_000

        value, reprs = convert(Long())
        self.assertLess(len(value), 5000)
        self.assertEqual(["v"], reprs)

    def test_huge_int(self):
        value, reprs = convert(10**5000)
        self.assertTrue(value.startswith("0x"))
        self.assertEqual(["v"], reprs)


class Durations(unittest.TestCase):
    def test_durations(self):
        for seconds, text in ((0, "PT0S"), (1, "PT1S"), (60, "PT1M"), (3600, "PT1H"), (86400, "P1D"), (-90061, "-P1DT1H1M1S")):
            self.assertEqual(text, duration(seconds))
        self.assertEqual("PT0.5S", duration(0, 500_000_000))
        self.assertEqual("-PT0.000000001S", duration(0, -1))
