"""Prints the dtype and value of what NumPy and pandas give a user. Run it in the guest and on a 64-bit machine, and compare."""

import io

import numpy as np
import pandas as pd

RNG = np.random.RandomState(7)
FRAME = pd.DataFrame({"k": ["a", "b", "a", "c"], "x": [1, 2, 3, 4], "y": [1.5, 2.5, None, 4.5]})
TIMES = pd.date_range("2020-01-01", periods=4, freq="D")

EXPRESSIONS = """
np.array([1])
np.array([True, 2])
np.array(5)
np.array([[1, 2], [3, 4]])
np.arange(5)
np.arange(5) * 2**40
np.arange(3, dtype=int)
np.int_(3)
np.uint(3)
np.intp(3)
np.dtype(int)
np.dtype("int")
np.dtype("uint")
np.dtype("p")
np.dtype("n")
np.zeros(2, int)
np.ones(2, "i8")
np.full(2, 7)
np.full(2, 2**40)
np.eye(2, dtype=int)
np.identity(2, int)
np.sum(np.array([1, 2], np.int8))
np.sum(np.array([1, 2], np.int32))
np.sum(np.array([1, 2], np.uint8))
np.sum(np.array([1, 2], np.uint32))
np.sum(np.array([True, True]))
np.array([2**31 - 1, 1], np.int32).sum()
np.prod(np.array([1, 2], np.int16))
np.prod(np.arange(1, 21))
np.cumsum(np.array([1, 2], np.int8))
np.cumsum([True, True])
np.cumprod(np.array([1, 2], np.uint16))
np.add.reduce(np.array([1, 2], np.int16))
np.add.accumulate(np.array([1, 2], np.int32))
np.multiply.reduceat(np.array([1, 2, 3], np.int8), [0, 1])
np.mean(np.array([1, 2]))
np.array([1, 2]).dot(np.array([3, 4]))
np.array([50000]) * np.array([50000])
np.array([50000]) ** 2
np.arange(10).cumsum()
np.trace(np.array([[1, 2], [3, 4]], np.int32))
np.count_nonzero([1, 0, 2])
np.count_nonzero([[1, 0], [1, 1]], axis=0)
np.argsort([3, 1, 2])
np.argmax([3, 1, 2])
np.argmin([[3, 1], [1, 2]], axis=1)
np.argpartition([3, 1, 2], 1)
np.argwhere([0, 1, 1])
np.nonzero([0, 1, 1])[0]
np.flatnonzero([0, 1, 1])
np.where([0, 1, 1])[0]
np.where([True, False], 1, 2)
np.searchsorted([1, 2, 3], [2, 5])
np.searchsorted([1, 2, 3], 2)
np.digitize([1.5, 2.5], [1, 2, 3])
np.bincount([1, 1, 2])
np.bincount([])
np.unique([1, 1, 2], return_counts=True)[1]
np.unique([1, 1, 2], return_index=True)[1]
np.unique([1, 1, 2], return_inverse=True)[1]
np.histogram([1, 2, 2], bins=2)[0]
np.histogram2d([1, 2], [1, 2], bins=2)[0]
np.lexsort(([1, 2], [2, 1]))
np.indices((2, 2))
np.mgrid[0:2]
np.ogrid[0:2]
np.r_[1, 2]
np.meshgrid([1, 2], [3])[0]
np.tri(2, dtype=int)
np.tril_indices(2)[0]
np.diag_indices(2)[0]
np.ravel_multi_index(([1], [1]), (2, 2))
np.unravel_index([3], (2, 2))[0]
np.ravel_multi_index((2**20,) * 2, (2**21, 2**21))
np.linspace(0, 4, 3, dtype=int)
np.around(np.array([1, 2]))
np.rint([1.5]).astype(int)
np.array([1.9]).astype(int)
np.array([3e9]).astype(int)
np.array(["12345678901"]).astype(int)
np.array([1, 2]) // 2
np.array([1]) / 2
np.array([True]) + np.array([True])
np.array([1], np.int8) + 1
np.array([1], np.int32) + np.array([1])
np.result_type(np.int32, int)
np.result_type(np.uint32, np.int32)
np.result_type(np.bool, 1)
np.promote_types("i4", "u4")
np.min_scalar_type(2**33)
np.can_cast("i8", int)
np.frombuffer(b"12345678", dtype=int)
np.fromstring("1 2", dtype=int, sep=" ")
np.loadtxt(io.StringIO("1 2"), dtype=int)
np.genfromtxt(io.StringIO("1 2"), dtype=None)
np.genfromtxt(io.StringIO("1 5000000000"), dtype=None)
np.fromiter(range(3), int)
np.fromfunction(lambda i: i, (2,), dtype=int)
np.ma.array([1, 2]).sum()
np.ma.array([1, 2], mask=[0, 1]).count()
np.ma.array([[1, 2]], mask=[[0, 1]]).count(axis=0)
np.nansum(np.array([1, 2], np.int32))
np.matmul(np.array([[1]], np.int32), np.array([[2]]))
np.einsum("i,i", [1, 2], [3, 4])
np.convolve([1, 2], [1, 2])
np.correlate([1, 2], [1, 2])
np.diff([1, 4])
np.gcd(4, 6)
np.lcm([4], [6])
np.bitwise_count(np.array([7]))
np.left_shift(1, 40)
np.array([1]) << 40
np.iinfo(int)
np.iinfo(np.intp)
np.strings.str_len(["abc"])
np.strings.find(["abc"], "c")
np.char.count(["abca"], "a")
np.datetime64("2020-01-02") - np.datetime64("2020-01-01")
np.datetime64("2020-01-02").astype(int)
np.busday_count("2020-01-01", "2020-02-01")
np.is_busday("2020-01-01")
np.polyfit([1, 2, 3], [1, 2, 3], 1).round(6)
np.poly1d([1, 2])(3)
np.packbits([1, 0, 1])
np.size([1, 2])
np.shape([1, 2])
np.ndim([1])
np.random.RandomState(1).randint(0, 100, 3)
np.random.RandomState(1).randint(0, 2**40, 3)
np.random.RandomState(1).randint(5)
np.random.RandomState(1).permutation(5)
np.random.RandomState(1).choice(5, 3)
np.random.RandomState(1).choice(5, 3, replace=False)
np.random.RandomState(1).choice([1, 2, 3], 2, p=[0.1, 0.2, 0.7])
np.random.RandomState(1).binomial(10, 0.5, 3)
np.random.RandomState(1).poisson(3, 3)
np.random.RandomState(1).poisson(1e12, 2)
np.random.RandomState(1).geometric(0.1, 3)
np.random.RandomState(1).negative_binomial(3, 0.5, 3)
np.random.RandomState(1).hypergeometric(5, 5, 5, 3)
np.random.RandomState(1).logseries(0.5, 3)
np.random.RandomState(1).zipf(2.0, 3)
np.random.RandomState(1).multinomial(5, [0.5, 0.5])
np.random.RandomState(1).tomaxint(2)
np.random.RandomState(1).bytes(4)
np.random.RandomState(1).standard_normal(2)
np.random.default_rng(1).integers(0, 100, 3)
np.random.default_rng(1).integers(2**40, size=2)
np.random.default_rng(1).permutation(4)
np.random.default_rng(1).choice(5, 3)
np.random.default_rng(1).binomial(10, 0.5, 2)
np.random.default_rng(1).multinomial(5, [0.5, 0.5])
np.random.default_rng(1).normal(size=2)
pd.Series([1, 2])
pd.Series(range(3))
pd.Series([1, 2]).sum()
pd.Series([2**31, 1]).sum()
pd.Series([1, 2], dtype="int32").sum()
pd.Series([1, 2], dtype="Int32").sum()
pd.Series([True, True]).sum()
pd.Series([1, 2]).cumsum()
pd.Series([1, None]).count()
pd.Series(["a", "a"]).value_counts()
pd.Series([1, 2]).rank()
pd.Series([3, 1]).argsort()
pd.Series([3, 1]).argmax()
pd.Series(["a", "bb"]).str.len()
pd.Series(["a", "bb"]).str.find("b")
pd.Series(["1", "2"]).astype(int)
pd.Series(TIMES).dt.year
pd.Series(TIMES).astype("int64")
pd.Series(TIMES).diff()
pd.Index([1, 2])
pd.RangeIndex(3)
pd.Index([1, 2]).get_indexer([2])
pd.Index([1, 2]).memory_usage()
pd.factorize(["a", "b", "a"])[0]
pd.Categorical(["a", "b"]).codes
pd.cut([1, 2, 3], 2, labels=False)
pd.qcut([1, 2, 3], 2, labels=False)
pd.to_numeric(["1", "2"])
pd.to_numeric(["5000000000"])
pd.get_dummies(["a", "b"], dtype=int)
FRAME.dtypes
FRAME.count()
FRAME.sum(numeric_only=True)
FRAME.nunique()
FRAME["x"].count()
FRAME.groupby("k").size()
FRAME.groupby("k").count()
FRAME.groupby("k")["x"].sum()
FRAME.groupby("k")["x"].agg(["sum", "mean", "count", "nunique", "min"])
FRAME.groupby("k").cumcount()
FRAME.groupby("k").ngroup()
FRAME.groupby("k").ngroups
FRAME.groupby("k")["x"].transform("sum")
FRAME.groupby("k")["x"].idxmax()
FRAME.groupby("k").indices
FRAME.pivot_table(index="k", values="x", aggfunc="sum")
FRAME.pivot_table(index="k", values="x", aggfunc="count")
FRAME.melt("k")
FRAME.merge(FRAME, on="k")
pd.crosstab(FRAME["k"], FRAME["x"])
FRAME.describe()
FRAME.duplicated().sum()
FRAME["x"].rolling(2).count()
FRAME["x"].value_counts(bins=2)
FRAME.set_index("k").loc["a"]
FRAME.sort_values("x", ascending=False).index
FRAME.reset_index(drop=True).index
FRAME.memory_usage(deep=False)
pd.concat([FRAME, FRAME], ignore_index=True).index
pd.MultiIndex.from_product([[1, 2], ["a"]]).codes
pd.read_csv(io.StringIO("a,b\\n1,5000000000\\n2,3"))
pd.read_csv(io.StringIO("a,b\\n1,5000000000\\n2,3"), engine="python")
pd.read_json(io.StringIO('[{"a": 1, "b": 5000000000}]'))
pd.json_normalize([{"a": {"b": 1}}])
pd.period_range("2020-01", periods=2, freq="M").astype("int64")
pd.interval_range(0, 3).left
pd.date_range("2020", periods=3).dayofyear
pd.Timestamp("2020-01-01").value
pd.arrays.IntegerArray(np.array([1, 2]), np.array([False, True])).sum()
pd.array([1, 2])
pd.Series([1, 2]).to_numpy()
pd.Series([1, 2]).map({1: 10, 2: 20})
pd.Series([1, 2]).apply(lambda v: v * 2**40)
pd.Series([[1, 2], [3]]).explode()
pd.Series([[1, 2], [3]]).str.len()
pd.Series([1, 1, 2]).mode()
pd.Series([1, 1, 2]).nunique()
pd.Series([1, 2]).sample(1, random_state=1)
"""


def show(value):
    dtype = getattr(value, "dtype", None)
    if isinstance(value, pd.DataFrame):
        dtype = list(value.dtypes)
    if isinstance(value, dict):
        value = {key: (show(part)) for key, part in value.items()}
    text = " ".join(repr(value).split())
    return f"{type(value).__name__} {dtype} {text}"


for expression in EXPRESSIONS.strip().splitlines():
    expression = expression.replace("\\\\n", "\\n")
    try:
        print(expression, "->", show(eval(expression)))
    except Exception as error:
        print(expression, "-> raises", type(error).__name__, error)
