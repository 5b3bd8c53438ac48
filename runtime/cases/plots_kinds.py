import io
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image


def picture(figure, **options):
    """The figure's pixels, as a reader of its PNG sees them."""
    target = io.BytesIO()
    figure.savefig(target, format="png", **options)
    plt.close(figure)
    return np.asarray(Image.open(target).convert("RGB")).astype(int)


def has(pixels, red, green, blue):
    return int((abs(pixels - (red, green, blue)).max(axis=2) <= 2).sum())


x = np.linspace(0, 10, 200)
BLUE, ORANGE, WHITE = (31, 119, 180), (255, 127, 14), (255, 255, 255)

fig, ax = plt.subplots()
ax.plot(x, np.sin(x), label="sin"), ax.plot(x, np.cos(x), "--", label="cos"), ax.legend()
pixels = picture(fig)
print("line", pixels.shape, has(pixels, *BLUE) > 500, has(pixels, *ORANGE) > 300, pixels[0, 0].tolist())

fig, ax = plt.subplots(figsize=(4, 3), dpi=50)
ax.bar(["a", "b", "c"], [1, 3, 2], color="red")
pixels = picture(fig)
print("bar", pixels.shape, has(pixels, 255, 0, 0) > 1000)

fig, ax = plt.subplots()
counts, edges, patches = ax.hist([1, 2, 2, 3, 3, 3], bins=3)
print("hist", counts.tolist(), has(picture(fig), *BLUE) > 10000)

fig, ax = plt.subplots()
ax.scatter([0, 1], [0, 1], s=400, c=["lime", "blue"])
pixels = picture(fig)
print("scatter", has(pixels, 0, 255, 0) > 200, has(pixels, 0, 0, 255) > 200)

fig = plt.figure(figsize=(2, 2), dpi=100)
fig.add_axes((0, 0, 1, 1)).imshow([[0, 1], [1, 0]], cmap="gray", interpolation="nearest")
pixels = picture(fig)
print("imshow", pixels.shape, *(pixels[r, c].tolist() for r in (50, 150) for c in (50, 150)))

fig, axes = plt.subplots(2, 2, layout="constrained", figsize=(8, 6))
axes[0, 0].semilogy(x, np.exp(x)), axes[0, 1].loglog(x + 1, x + 1)
axes[1, 0].fill_between(x, x, color="orange"), axes[1, 1].pie([1, 2])
pixels = picture(fig)
print("subplots", pixels.shape, has(pixels, 255, 165, 0) > 1000, axes[0, 0].get_yscale(), axes[0, 1].get_xscale())

fig, ax = plt.subplots()
mesh = ax.contourf(*np.meshgrid(x, x), np.outer(x, x), levels=5, cmap="viridis")
fig.colorbar(mesh)
ax.tricontour([0, 1, 0, 1, 5], [0, 0, 1, 1, 5], [1, 2, 3, 4, 5])
pixels = picture(fig)
print("contour", len(fig.axes), len(np.unique(pixels.reshape(-1, 3), axis=0)) > 50)

fig = plt.figure()
ax = fig.add_subplot(projection="3d")
ax.plot_surface(*np.meshgrid(x[::20], x[::20]), np.outer(x[::20], x[::20]), cmap="plasma")
pixels = picture(fig)
print("3d", ax.name, len(np.unique(pixels.reshape(-1, 3), axis=0)) > 100)

fig = plt.figure(figsize=(3, 1))
for text in ("plain é ß Ж", r"$\frac{\alpha}{\sqrt{2}} + \sum_{i=0}^n x_i^2$"):
    fig.clear()
    fig.text(0.05, 0.3, text, size=20)
    target = io.BytesIO()
    fig.savefig(target)
    dark = np.asarray(Image.open(target).convert("L")) < 128
    print("text", dark.sum() > 300, dark[:, :5].sum() == 0)
plt.close(fig)
print("polar", has(picture(plt.subplots(subplot_kw={"projection": "polar"})[0]), *WHITE) > 100000)
