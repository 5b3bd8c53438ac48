deep = []
for _ in range(100_000):
    deep = [deep]
found = 0
node = deep
deep
