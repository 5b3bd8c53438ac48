"""What sold best? A pandas program as an agent would send it."""

import io

import pandas as pd

SALES = """\
day,region,product,units,price
2026-03-02,north,kettle,12,34.90
2026-03-02,south,kettle,7,34.90
2026-03-03,north,toaster,5,49.00
2026-03-03,south,toaster,11,45.50
2026-03-04,north,kettle,9,32.90
2026-03-04,east,lamp,21,18.25
"""

sales = pd.read_csv(io.StringIO(SALES), parse_dates=["day"])
sales["revenue"] = sales["units"] * sales["price"]

table = sales.pivot_table(index="product", columns="region", values="revenue", aggfunc="sum", fill_value=0.0)
print(table.round(2).to_string())

best = sales.groupby("product")["revenue"].sum().idxmax()
print(f"\nbest seller: {best}")
sales["revenue"].sum().round(2)
