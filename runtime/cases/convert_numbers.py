import decimal, fractions
{"nan": float("nan"), "inf": [float("inf"), -float("inf")], "big": 2 ** 70, "u64": 2 ** 64 - 1, "i64": -2 ** 63,
 "decimal": decimal.Decimal("1.20"), "fraction": fractions.Fraction(1, 3), "complex": 1 + 2j}
