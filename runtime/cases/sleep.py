import time, select
start = time.monotonic()
time.sleep(0.05); time.sleep(0); select.select([], [], [], 0.01)
print(0.06 <= time.monotonic() - start < 0.5)
for bad in (-1, "1", float("nan")):
    try:
        time.sleep(bad)
    except (ValueError, TypeError) as error:
        print(type(error).__name__, error)
