import io
import matplotlib
import matplotlib.pyplot as plt
from PIL import Image, ImageDraw, ImageFilter, ImageFont, features


def saved(format, **options):
    target = io.BytesIO()
    plt.savefig(target, format=format, **options)
    return target.getvalue()


plt.plot([1, 3, 2], label="a")
plt.title("Title")
plt.legend()
first, second = saved("png"), saved("png")
print("png", first[:8], first == second, Image.open(io.BytesIO(first)).size, Image.open(io.BytesIO(saved("png", dpi=50))).size)
svg, pdf, eps = saved("svg"), saved("pdf"), saved("eps")
print("svg", svg[:5], b"</svg>" in svg, svg.count(b"<path") > 10)
print("pdf", pdf[:8], pdf.rstrip()[-5:], b"/Type /Page" in pdf, b"/Type3" in pdf)
print("eps", eps[:4])
jpeg = Image.open(io.BytesIO(saved("jpg")))
print("jpg", jpeg.format, jpeg.size, jpeg.getpixel((0, 0)))
print(sorted(plt.gcf().canvas.get_supported_filetypes()))
plt.close()

image = Image.new("RGB", (64, 48), "navy")
ImageDraw.Draw(image).rectangle((10, 10, 30, 30), fill="yellow")
ImageDraw.Draw(image).text((34, 10), "hi", fill="white", font=ImageFont.load_default(12))
print("drawn", image.getpixel((20, 20)), image.getpixel((0, 0)), image.crop((34, 8, 60, 30)).getextrema()[0][1] > 200)
for format in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "ICO", "PPM"):
    target = io.BytesIO()
    image.save(target, format)
    again = Image.open(target)
    again.load()
    red, green, blue = again.convert("RGB").resize((64, 48)).getpixel((20, 20))
    print(format, again.format, red > 200 and green > 200 and blue < 60)
small = image.resize((32, 24), Image.Resampling.LANCZOS).filter(ImageFilter.GaussianBlur(1)).rotate(90, expand=True)
print("edited", small.size, small.convert("L").mode)
print({name: features.check(name) for name in ("jpg", "zlib", "freetype2", "webp", "avif", "libtiff", "jpg_2000", "littlecms2", "raqm")})
try:
    image.save(io.BytesIO(), "WEBP")
except Exception as error:
    print(type(error).__name__, error)
