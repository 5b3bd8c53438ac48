import pandas as pd
index = pd.date_range("2024-01-01", periods=4, freq="12h", tz="Europe/Berlin")
print(pd.Series(range(4), index=index).resample("1D").sum().to_dict())
print(pd.to_datetime("2024-03-05") + pd.offsets.BDay(2), pd.Timestamp("2024-01-31") + pd.DateOffset(months=1))
