import pandas as pd
frame = pd.DataFrame({"name": ["a", None], "amount": [1.5, float("nan")], "when": pd.to_datetime(["2024-01-02", None]), 3: [1, 2]})
frame
