import io
import matplotlib.dates
import matplotlib.pyplot as plt
import pandas as pd
from PIL import Image

days = pd.date_range("2024-01-01", periods=90)
frame = pd.DataFrame({"up": range(90), "down": range(90, 0, -1)}, index=days)
ax = frame.plot(title="Days", figsize=(6, 3))
target = io.BytesIO()
ax.figure.savefig(target)
print(type(ax).__name__, Image.open(target).size, [line.get_label() for line in ax.get_lines()])
print([label.get_text() for label in ax.get_xticklabels(minor=False)][:2])

fig, ax = plt.subplots()
ax.plot(days.to_pydatetime(), frame["up"])
ax.xaxis.set_major_formatter(matplotlib.dates.DateFormatter("%d %b"))
fig.autofmt_xdate()
fig.savefig(io.BytesIO())
print([label.get_text() for label in ax.get_xticklabels()][:3])

axes = frame.hist(bins=5)
print(axes.shape, frame.plot.bar().name, frame["up"].plot.box().name)
import seaborn as sns

ax = sns.histplot(frame, x="up", hue=frame["down"] > 45, ax=plt.subplots()[1])
ax.figure.savefig(target := io.BytesIO())
print(Image.open(target).size, len(ax.patches) > 5)
plt.close("all")
