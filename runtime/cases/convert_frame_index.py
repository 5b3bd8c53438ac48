import pandas as pd
frame = pd.DataFrame({"kind": ["x", "y", "x"], "amount": [1, 2, 3]})
{"named": frame.groupby("kind").sum(), "unnamed": frame.iloc[1:], "columns": frame.groupby("kind").agg({"amount": ["sum", "max"]}),
 "series": frame.groupby("kind")["amount"].sum(), "plain": frame["amount"], "twice": pd.Series([1, 2], index=["a", "a"], name="n"), "index": frame.columns}
