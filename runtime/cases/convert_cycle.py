row = [1]
row.append(row)
table = {"self": None, "n": 1}
table["self"] = table
[row, table]
