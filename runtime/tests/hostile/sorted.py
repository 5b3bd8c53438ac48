class Item:
    def __lt__(self, other):
        return sorted([Item(), Item()]) is None


print("before")
sorted([Item(), Item()])
