"""What earns most? An API that wants a key, a package that is not built in, and a picture."""

import httpx
import matplotlib.pyplot as plt
import pandas as pd
import squarify

answer = httpx.get("http://127.0.0.1:8899/sales", headers={"Authorization": f"Bearer {SHOP_KEY}"})
answer.raise_for_status()
sales = pd.DataFrame(answer.json())
sales["revenue"] = sales["units"] * sales["price"]
revenue = sales.groupby("product")["revenue"].sum().sort_values(ascending=False)

squarify.plot(sizes=revenue, label=revenue.index, color=plt.cm.Set3.colors, pad=True)
plt.title("Revenue by product")
plt.axis("off")

print("the key, as this program has it:", SHOP_KEY)
revenue
