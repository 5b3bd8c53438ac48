import pandas as pd, sqlite3
frame = pd.DataFrame({"n": [1, 2], "s": ["a", "é"]})
frame.to_csv("t.csv", index=False); frame.to_excel("t.xlsx", index=False); frame.to_json("t.json", orient="records")
database = sqlite3.connect("t.db"); frame.to_sql("t", database, index=False)
print([pd.read_csv("t.csv").equals(frame), pd.read_excel("t.xlsx").equals(frame), pd.read_json("t.json").equals(frame),
       pd.read_sql("select * from t", database).equals(frame)])
