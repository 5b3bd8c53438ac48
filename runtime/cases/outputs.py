total = sum(prices)
table = {"rows": [1, 2]}
unused = object()
