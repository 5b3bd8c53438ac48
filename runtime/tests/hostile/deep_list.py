print("before")
nest = []
for _ in range(3_000_000):
    nest = [nest]
print("nested")
del nest
print("freed")
