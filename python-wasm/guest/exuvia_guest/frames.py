"""NumPy's and pandas' values as JSON, registered with convert.py.

A DataFrame becomes records, since that is what a reader of JSON expects of a table.
"""

import numpy as np
import pandas as pd

from exuvia_guest.convert import DEEPEST, duration, register

# Rows of a table that are converted at a time: between them the budget is looked at.
ROWS = 4096
# What an element costs at least, bytes: what cannot fit in the budget is not even turned into objects.
ELEMENT = 2


def _array(self, array, path, depth):
    array = np.asarray(array) if not isinstance(array, np.ma.MaskedArray) else array
    if array.ndim == 0:
        return self.convert(array.item() if array.dtype.kind not in "mM" else array[()], path, depth + 1)
    if array.ndim > 1:
        if depth + array.ndim > DEEPEST:
            return self.repr(array, path)
        return self.items(array, path, depth)
    return _vector(self, array, path, depth)


def _vector(self, array, path, depth):
    kept = max(self.left // ELEMENT, 1)
    if len(array) <= kept:
        return _all_of_vector(self, array, path, depth)
    # More elements than the budget has bytes: say how many there are.
    result = _all_of_vector(self, array[:kept], path, depth)
    result.append(self.mark_text(f"… [{len(array) - kept} items left out]", f"{path}.{kept}"))
    return result


def _all_of_vector(self, array, path, depth):
    kind = array.dtype.kind
    if isinstance(array, np.ma.MaskedArray):
        return self.items(array.tolist(None), path, depth)
    if kind == "V" and array.dtype.names:
        names = array.dtype.names
        return [self.pairs(zip(names, row), f"{path}.{i}", depth + 1) for i, row in enumerate(array)]
    if kind == "M":
        return self.items([_timestamp_text(item) for item in array], path, depth)
    if kind == "m":
        return self.items([_span_text(item) for item in array], path, depth)
    if kind in "biu" or (kind == "f" and array.dtype.itemsize <= 8 and bool(np.isfinite(array).all())):
        self.left -= array.size * (8 if kind != "f" else 12)
        if self.left > 0:
            return array.tolist()
        self.left += array.size * (8 if kind != "f" else 12)
    if array.dtype.itemsize > 8 and kind == "f":
        return self.items([float(item) for item in array], path, depth)
    return self.items(array.tolist(), path, depth)


def _scalar(self, value, path, depth):
    if isinstance(value, np.datetime64):
        return self.convert(_timestamp_text(value), path, depth + 1)
    if isinstance(value, np.timedelta64):
        return self.convert(_span_text(value), path, depth + 1)
    if isinstance(value, np.void):
        if value.dtype.names:
            return self.pairs(zip(value.dtype.names, value), path, depth)
        return self.convert(bytes(value), path, depth + 1)
    if isinstance(value, np.longdouble):
        return self.number(float(value), path)
    item = value.item()
    return self.repr(value, path) if isinstance(item, np.generic) else self.convert(item, path, depth + 1)


def _timestamp_text(value):
    return None if np.isnat(value) else str(np.datetime_as_string(value))


def _span_text(value):
    if np.isnat(value):
        return None
    unit = np.datetime_data(value.dtype)[0]
    if unit in ("Y", "M", "generic"):
        return str(value)
    return duration(0, int(value.astype("timedelta64[ns]").astype(np.int64)))


def _missing(self, value, path, depth):
    return None


def _timestamp(self, value, path, depth):
    return self.text(value.isoformat(), path)


def _timedelta(self, value, path, depth):
    return self.text(duration(0, value.as_unit("ns").value), path)


def _text(self, value, path, depth):
    return self.text(str(value), path)


def _index(self, index, path, depth):
    if isinstance(index, pd.MultiIndex):
        return self.items(index.tolist(), path, depth)
    return self.items(_column(index), path, depth)


def _extension(self, array, path, depth):
    return self.items(_column(pd.Series(array)), path, depth)


def _series(self, series, path, depth):
    index = series.index
    if _is_default(index):
        return self.items(_column(series), path, depth)
    if index.is_unique:
        keys = [self.key(label) for label in _labels(index)]
        if len(set(keys)) == len(keys):
            return self.pairs(zip(keys, _column(series)), path, depth)
    # Labels that occur twice would swallow each other as keys.
    name = "value" if series.name is None else series.name
    return _frame(self, series.to_frame(name), path, depth)


def _frame(self, frame, path, depth):
    """Records: a list of one object per row. An index other than the default one comes first, named as `reset_index` does."""
    names, columns = [], []
    if not _is_default(frame.index):
        for level in range(frame.index.nlevels):
            name = frame.index.names[level]
            if name is None:
                name = "index" if frame.index.nlevels == 1 else f"level_{level}"
            names.append(name)
            columns.append(frame.index.get_level_values(level))
    names += list(frame.columns)
    columns += [frame.iloc[:, position] for position in range(frame.shape[1])]
    names = _unique([self.key(name) for name in names])
    # Of a row, besides values that are converted one by one.
    overhead = 2 + sum(len(name) + 4 for name in names) + 8 * len(names)
    records = []
    for start in range(0, len(frame), ROWS):
        slices = [column[start : start + ROWS] for column in columns]
        plain = [_is_plain(values) for values in slices]
        for position, row in enumerate(zip(*map(_column, slices)), start):
            if self.left <= 0:
                rest = f"… [{len(frame) - position} rows of {len(frame)} left out]"
                records.append({"…": self.mark_text(rest, f"{path}.{position}")})
                return records
            self.left -= overhead
            where = f"{path}.{position}"
            records.append(
                {
                    name: value if ready else self.convert(value, f"{where}.{name}", depth + 2)
                    for name, value, ready in zip(names, row, plain)
                }
            )
    return records


def _is_plain(values):
    """Whether the elements are numbers that JSON takes as they are."""
    dtype = values.dtype
    if not isinstance(dtype, np.dtype):
        return False
    return dtype.kind in "bi" or (dtype.kind == "f" and bool(np.isfinite(values.to_numpy()).all()))


def _column(values):
    """The elements of a Series or Index as plain Python objects, missing ones as None."""
    if values.dtype.kind in "biu" and isinstance(values.dtype, np.dtype):
        return values.tolist()
    missing = values.isna()
    items = values.tolist()
    if not bool(missing.any()):
        return items
    return [None if gone else item for item, gone in zip(items, missing.tolist())]


def _labels(index):
    return index.tolist() if isinstance(index, pd.MultiIndex) else _column(index)


def _is_default(index):
    return isinstance(index, pd.RangeIndex) and index.start == 0 and index.step == 1 and index.name is None


def _unique(names):
    """Names made different by a suffix, as `read_csv` does: `a`, `a.1`."""
    seen, result = set(), []
    for name in names:
        candidate, count = name, 0
        while candidate in seen:
            count += 1
            candidate = f"{name}.{count}"
        seen.add(candidate)
        result.append(candidate)
    return result


def install():
    for kind, converter in (
        (np.ndarray, _array),
        (np.generic, _scalar),
        (pd.api.extensions.ExtensionArray, _extension),
        (pd.Index, _index),
        (pd.Series, _series),
        (pd.DataFrame, _frame),
        (pd.Timestamp, _timestamp),
        (pd.Timedelta, _timedelta),
        (pd.Period, _text),
        (pd.Interval, _text),
        (pd.offsets.BaseOffset, _text),
        (type(pd.NaT), _missing),
        (type(pd.NA), _missing),
    ):
        register(kind, converter)
