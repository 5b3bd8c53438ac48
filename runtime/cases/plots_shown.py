import logging
import os
import matplotlib
import matplotlib.pyplot as plt
from PIL import Image


class Last(logging.Handler):
    """Closed at the very end of the run, when the figures are saved."""

    def close(self):
        print("at the end", sorted(os.listdir()))
        print(Image.open("figure-3.png").size)


logging.getLogger().addHandler(Last())
open("figure-2.png", "w").write("the program's own")
plt.plot([1, 2])
plt.show()
print("after show()", sorted(os.listdir()), plt.get_fignums())

plt.figure(figsize=(2, 1)).text(0.5, 0.5, "left open")
saved = plt.figure()
saved.savefig("mine.png")
changed = plt.figure()
changed.savefig("changed.png")
changed.text(0.5, 0.5, "since")
plt.close(plt.figure())
matplotlib.use("agg")
print(open("figure-2.png").read())
