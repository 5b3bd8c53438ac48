"""From Python values to JSON: what a result or an output becomes for the client.

The rules are in docs/limitations.md. What has no form in JSON is given as its `repr`, and its path goes to `reprs`.
A value of the program can be anything: types are taken from `type()` alone, contents through the base class's
own methods, and whatever a method of the value does, conversion ends and answers.
"""

import base64
import json
import math
from collections import deque
from types import MappingProxyType

# Most of JSON that one program's outcome may be, bytes; about, for escapes are not counted. The host reads it into memory.
BUDGET = 8 * 1024 * 1024
# Deeper values are given as their repr.
DEEPEST = 64
# Most characters of a repr.
REPR_KEPT = 4096
# Most paths listed in `reprs`, and most characters of a key in one, and of a key at all.
REPRS_KEPT = 1000
KEY_IN_PATH = 100
KEY_KEPT = 4096
# JSON readers take integers of 64 bits.
SMALLEST, LARGEST = -(2**63), 2**64 - 1

dumps = json.JSONEncoder(ensure_ascii=False, check_circular=False, allow_nan=False).encode

# Converters by exact or base type, as `converter(conversion, value, path, depth)`. See `register`.
_by_type = {}
# Bases in the order in which they are tried for subclasses.
_by_base = []


def register(kind, converter, subclasses=True):
    """Convert values of the type `kind` by `converter`; a later registration for a base is tried first."""
    _by_type[kind] = converter
    if subclasses:
        _by_base.insert(0, (kind, converter))


class Conversion:
    """The conversion of one program's values: what is left of the budget, and where a repr stands."""

    def __init__(self, budget=BUDGET):
        self.left = budget
        self.reprs = []
        self._above = set()

    def to_json(self, value, path):
        """A value as JSON text."""
        try:
            return dumps(self.convert(value, path, 0))
        except BaseException:
            # Memory or stack ran out, or the value fights back.
            self._mark(path)
            return '"<the value could not be converted>"'

    def convert(self, value, path, depth):
        """A value as what `json` writes without further questions."""
        kind = type(value)
        if value is None or value is True or value is False:
            self.left -= 5
            return value
        if kind is str:
            return self.text(value, path)
        if kind is int:
            return self.integer(value, path)
        if kind is float:
            return self.number(value, path)
        if depth >= DEEPEST or id(value) in self._above:
            return self.repr(value, path)
        self._above.add(id(value))
        try:
            converter = _by_type.get(kind) or _for_subclass(kind)
            if converter is not None:
                return converter(self, value, path, depth)
        except BaseException:
            # Some method of the value, or of its class, is not what it should be.
            pass
        finally:
            self._above.discard(id(value))
        return self.repr(value, path)

    def text(self, value, path):
        length = len(value)
        if length > self.left:
            kept = max(self.left, 0)
            self._mark(path)
            value = f"{value[:kept]}… [{length - kept} characters left out]"
        self.left -= length + 3
        return value

    def integer(self, value, path):
        if SMALLEST <= value <= LARGEST:
            self.left -= 8
            return value
        return self.mark_text(_digits(value), path)

    def number(self, value, path):
        self.left -= 12
        if math.isfinite(value):
            return value
        # Not a number stands for a missing value, as in pandas.
        return None if value != value else self.mark_text(repr(value), path)

    def items(self, values, path, depth):
        """A list of the converted values, as many as the budget allows."""
        result = []
        for index, value in enumerate(values):
            if self.left <= 0:
                rest = f" of {len(values)}" if hasattr(type(values), "__len__") else ""
                result.append(self.mark_text(f"… [left out from here on: item {index}{rest}]", f"{path}.{index}"))
                break
            result.append(self.convert(value, f"{path}.{index}", depth + 1))
        return result

    def pairs(self, pairs, path, depth):
        """An object of the converted values; see `key` for the keys."""
        result = {}
        for key, value in pairs:
            key = self.key(key)
            if self.left <= 0:
                result["…"] = self.mark_text("[left out from here on]", f"{path}.…")
                break
            self.left -= len(key) + 4
            result[key] = self.convert(value, f"{path}.{key[:KEY_IN_PATH]}", depth + 1)
        return result

    def key(self, key):
        """A key as text: as `json` does for None, booleans and numbers, else what its value becomes, or its `repr`."""
        key = self._key(key)
        return key if len(key) <= KEY_KEPT else key[:KEY_KEPT] + "…"

    def _key(self, key):
        kind = type(key)
        if kind is str:
            return key
        if kind is tuple:
            return ".".join([self._key(part) for part in key])
        if kind is int:
            return _digits(key)
        if kind is float:
            return repr(key)
        value = Conversion(KEY_KEPT).convert(key, "", DEEPEST - 1)
        if type(value) is str:
            return value
        if isinstance(value, (dict, list)):
            return safe_repr(key)
        return dumps(value)

    def mark_text(self, text, path):
        """A text that stands for a value, with its path marked."""
        self._mark(path)
        self.left -= len(text) + 3
        return text

    def repr(self, value, path):
        return self.mark_text(safe_repr(value), path)

    def _mark(self, path):
        if len(self.reprs) < REPRS_KEPT:
            self.left -= len(path) + 3
            self.reprs.append(path)


def safe_repr(value):
    """The repr, bounded, whatever the value's own method does."""
    try:
        text = repr(value)
        if type(text) is not str:
            text = str.__str__(text)
    except BaseException:
        text = f"<{_type_name(type(value))} object whose repr fails>"
    if len(text) > REPR_KEPT:
        text = f"{text[:REPR_KEPT]}… [{len(text) - REPR_KEPT} characters left out]"
    return text


def _type_name(kind):
    return type.__dict__["__name__"].__get__(kind)


def _for_subclass(kind):
    mro = type.__dict__["__mro__"].__get__(kind)
    for base, converter in _by_base:
        if base in mro:
            return converter
    # By what the class says of itself, not the value.
    if hasattr(kind, "__dataclass_fields__"):
        return _dataclass
    return None


def _digits(value):
    """The decimal digits of an int of any size: `str` refuses more than 4,300 of them."""
    try:
        return int.__repr__(value)
    except ValueError:
        return hex(value)


def _mapping(self, value, path, depth):
    return self.pairs(dict.items(value), path, depth)


def _proxy(self, value, path, depth):
    return self.pairs(value.items(), path, depth)


def _list(self, value, path, depth):
    return self.items(value if type(value) is list else list.__getitem__(value, slice(None)), path, depth)


def _tuple(self, value, path, depth):
    fields = getattr(type(value), "_fields", None)
    items = tuple.__getitem__(value, slice(None))
    if type(fields) is tuple and len(fields) == len(items) and all(type(field) is str for field in fields):
        return self.pairs(zip(fields, items), path, depth)
    return self.items(items, path, depth)


def _sequence(self, value, path, depth):
    return self.items(value, path, depth)


def _set(self, value, path, depth):
    values = list(set.__iter__(value) if isinstance(value, set) else frozenset.__iter__(value))
    try:
        values.sort()
    except Exception:
        # Not all comparable: by type and text, so that the same set gives the same list.
        values.sort(key=lambda item: (_type_name(type(item)), safe_repr(item)))
    return self.items(values, path, depth)


def _bytes(self, value, path, depth):
    encoded = base64.b64encode(value).decode()
    return {"base64": self.text(encoded, path)}


def _str(self, value, path, depth):
    return self.text(str.__str__(value), path)


def _int(self, value, path, depth):
    return self.integer(int.__index__(value), path)


def _float(self, value, path, depth):
    return self.number(float.__float__(value), path)


def _dataclass(self, value, path, depth):
    fields = type(value).__dataclass_fields__
    missing = object()
    pairs = ((name, getattr(value, name, missing)) for name in fields)
    return self.pairs([(name, item) for name, item in pairs if item is not missing], path, depth)


def _text_of(self, value, path, depth):
    return self.text(str(value), path)


def _iso(self, value, path, depth):
    return self.text(value.isoformat(), path)


def _enum(self, value, path, depth):
    return self.convert(value._value_, path, depth + 1)


def _timedelta(self, value, path, depth):
    return self.text(duration(value.days * 86400 + value.seconds, value.microseconds * 1000), path)


def duration(seconds, nanoseconds=0):
    """A span as ISO 8601: `P1DT2H3M4.5S`; negative ones with a leading minus."""
    total = seconds * 1_000_000_000 + nanoseconds
    sign, total = ("-", -total) if total < 0 else ("", total)
    seconds, nanoseconds = divmod(total, 1_000_000_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    fraction = f".{nanoseconds:09}".rstrip("0") if nanoseconds else ""
    parts = "".join(f"{count}{unit}" for count, unit in ((hours, "H"), (minutes, "M")) if count)
    if seconds or fraction or not (parts or days):
        parts += f"{seconds}{fraction}S"
    return f"{sign}P{f'{days}D' if days else ''}{'T' + parts if parts else ''}"


def _install():
    import collections
    import datetime
    import decimal
    import enum
    import fractions
    import pathlib
    import uuid

    for kind, converter in (
        (dict, _mapping),
        (list, _list),
        (tuple, _tuple),
        (set, _set),
        (frozenset, _set),
        (deque, _sequence),
        (bytes, _bytes),
        (bytearray, _bytes),
        (str, _str),
        (int, _int),
        (float, _float),
        (collections.UserDict, _proxy),
        (collections.UserList, _sequence),
        (collections.UserString, _text_of),
        (collections.ChainMap, _proxy),
        (datetime.time, _iso),
        (datetime.date, _iso),
        (datetime.datetime, _iso),
        (datetime.timedelta, _timedelta),
        (datetime.timezone, _text_of),
        (decimal.Decimal, _text_of),
        (fractions.Fraction, _text_of),
        (uuid.UUID, _text_of),
        (pathlib.PurePath, _text_of),
        (enum.Enum, _enum),
    ):
        register(kind, converter)
    for kind, converter in (
        (range, _sequence),
        (memoryview, _bytes),
        (MappingProxyType, _proxy),
        (type({}.keys()), _sequence),
        (type({}.values()), _sequence),
        (type({}.items()), _sequence),
    ):
        register(kind, converter, subclasses=False)


_install()
