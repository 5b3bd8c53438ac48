import numpy as np
{"i": np.int64(5), "f": np.float32(1.5), "b": np.bool_(True), "array": np.arange(6).reshape(2, 3), "nan": np.array([1.0, np.nan]),
 "when": np.datetime64("2024-01-02T03:04"), "nat": np.datetime64("NaT"), "span": np.timedelta64(90, "s"), "text": np.array(["a", "b"]),
 "rows": np.array([(1, "x")], dtype=[("n", int), ("s", "U3")]), "scalar": np.array(7), "mask": np.ma.array([1, 2], mask=[0, 1])}
