import gc


class Stubborn:
    def __del__(self):
        raise SystemExit("in del")


alive = [Stubborn() for _ in range(3)]
alive.append(alive)
del alive
gc.collect()
print("end")
