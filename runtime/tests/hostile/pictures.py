"""Thousands of damaged pictures and fonts: each is read, or refused with an exception."""
import io
import random
import warnings

import matplotlib.font_manager
from matplotlib.ft2font import FT2Font
from PIL import Image, ImageFont

warnings.simplefilter("ignore")
random.seed(1)
ROUNDS = 500


def sample(format, mode="RGB", **options):
    target = io.BytesIO()
    Image.radial_gradient("L").resize((40, 30)).convert(mode).save(target, format, **options)
    return target.getvalue()


def damaged(data):
    data = bytearray(data)
    # The head is where lengths and sizes are.
    for _ in range(random.randint(1, 8)):
        place = random.randrange(min(len(data), random.choice((64, 512, len(data)))))
        data[place] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))
    return bytes(data[: random.choice((len(data), len(data), random.randrange(len(data))))])


def picture(data):
    Image.open(io.BytesIO(data)).convert("RGB").resize((8, 8))


def font(data):
    face = FT2Font(io.BytesIO(data))
    face.set_size(12, 72)
    face.set_text("Ag\u03b1")
    face.draw_glyphs_to_bitmap()
    face.get_path()


def pillow_font(data):
    ImageFont.truetype(io.BytesIO(data), 12).getmask("Ag")


true_type = open(matplotlib.font_manager.findfont("cmr10"), "rb").read()
samples = [
    ("PNG", sample("PNG"), picture),
    ("PNG palette", sample("PNG", "P"), picture),
    ("JPEG", sample("JPEG"), picture),
    ("JPEG progressive", sample("JPEG", progressive=True), picture),
    ("GIF", sample("GIF"), picture),
    ("BMP", sample("BMP"), picture),
    ("TIFF", sample("TIFF"), picture),
    ("TGA", sample("TGA", compression="tga_rle"), picture),
    ("SGI", sample("SGI"), picture),
    ("PCX", sample("PCX"), picture),
    ("font", true_type, font),
    ("Pillow's font", true_type, pillow_font),
]
for name, data, read in samples:
    read(data)
    refused = 0
    for _ in range(ROUNDS):
        try:
            read(damaged(data))
        except Exception:
            refused += 1
    # Some damage does not show, and some does.
    print(name, 0 < refused <= ROUNDS)
