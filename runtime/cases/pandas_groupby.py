import io, pandas as pd
frame = pd.read_csv(io.StringIO("name,kind,amount\na,x,1\nb,y,2.5\nc,x,3\n"))
print(frame.groupby("kind")["amount"].sum().to_dict(), frame["amount"].describe()["mean"].round(3))
print(frame.merge(pd.DataFrame({"kind": ["x"], "label": ["X"]}), on="kind").to_csv(index=False))
frame.pivot_table(index="kind", values="amount", aggfunc="mean")
