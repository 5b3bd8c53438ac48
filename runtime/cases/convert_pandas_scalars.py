import pandas as pd
[pd.Timestamp("2024-01-02 03:04", tz="UTC"), pd.Timedelta("1h"), pd.NaT, pd.NA, pd.Period("2024-01"), pd.Interval(0, 1), pd.Categorical(["b", "a"]),
 pd.array([1, None], dtype="Int64"), pd.date_range("2024-01-01", periods=2)]
