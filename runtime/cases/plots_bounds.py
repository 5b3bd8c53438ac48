import warnings
import matplotlib
import matplotlib.pyplot as plt
import numpy as np


def refused(action):
    try:
        print("not refused:", action())
    except Exception as error:
        print(f"{type(error).__name__}: {error}")


refused(lambda: plt.figure(figsize=(1000, 1000)).savefig("x.png"))
refused(lambda: plt.figure(figsize=(1e6, 1e6)).savefig("x.png"))
refused(lambda: plt.figure(figsize=(0.01, 0.01)).savefig("x.png", dpi=1e5))
refused(lambda: plt.figure(figsize=(float("nan"), 1)))
plt.close("all")
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    matplotlib.use("TkAgg")
    plt.switch_backend("module://matplotlib_inline.backend_inline")
    plt.rcParams["pdf.fonttype"] = 42
for warning in caught:
    print(warning.message)
print(matplotlib.get_backend(), plt.rcParams["pdf.fonttype"])
plt.rcParams["font.family"] = "serif"
print(matplotlib.font_manager.findfont(matplotlib.font_manager.FontProperties()).rpartition("/")[2])
for number in range(25):
    plt.figure(figsize=(0.5, 0.5)).text(0, 0, number)
