"""What is imported before the snapshot: importing it in a run then costs nothing."""

import importlib
import json
import sys

STANDARD_LIBRARY = """
abc argparse array ast asyncio asyncio.taskgroups asyncio.timeouts atexit base64 binascii bisect bz2 calendar cmath codecs
collections collections.abc colorsys concurrent.futures concurrent.futures.thread configparser contextlib contextvars copy copyreg csv
ctypes dataclasses datetime decimal difflib dis email email.message email.mime.multipart email.mime.text email.parser
email.policy email.utils enum errno fnmatch fractions ftplib functools gc getpass gettext glob graphlib gzip hashlib
heapq hmac html html.parser http http.client http.cookiejar http.cookies importlib importlib.metadata importlib.resources inspect
io ipaddress itertools json keyword linecache locale logging logging.handlers lzma math mimetypes multiprocessing
multiprocessing.dummy multiprocessing.pool numbers operator os pathlib pickle pkgutil platform posixpath pprint queue quopri
random re reprlib sched secrets select selectors shlex shutil signal smtplib socket socketserver sqlite3 ssl stat statistics
string stringprep struct subprocess symtable sys tarfile tempfile textwrap threading time timeit token tokenize traceback types
typing unicodedata unittest unittest.mock urllib.error urllib.parse urllib.request uuid warnings weakref
xml.dom.minidom xml.etree.ElementTree xml.sax zipfile zlib zoneinfo encodings.idna encodings.latin_1 encodings.cp1252
encodings.utf_8_sig encodings.utf_16 encodings.ascii _strptime _pydatetime
""".split()

PACKAGES = """
numpy numpy.linalg numpy.fft numpy.random numpy.ma numpy.polynomial numpy.lib.recfunctions numpy.lib.stride_tricks numpy.testing
pandas pandas.io.json pandas.io.parsers pandas.io.excel pandas.io.html pandas.io.sql pandas.core.groupby
pandas.core.reshape.api pandas.core.window pandas.core.arrays pandas.io.formats.format pandas.io.formats.style_render
pandas.tseries.offsets pandas.tseries.holiday pandas.api.types pandas.testing
PIL PIL.Image PIL.ImageDraw PIL.ImageFont PIL.ImageOps PIL.PngImagePlugin PIL.JpegImagePlugin PIL.GifImagePlugin PIL.BmpImagePlugin
matplotlib matplotlib.pyplot matplotlib.dates matplotlib.backends.backend_agg matplotlib.backends.backend_svg
matplotlib.backends.backend_pdf pandas.plotting pandas.plotting._matplotlib seaborn
bs4 soupsieve jinja2 markupsafe openpyxl tabulate typing_extensions
dateutil dateutil.parser dateutil.relativedelta dateutil.rrule dateutil.tz six tzdata yaml
certifi idna charset_normalizer urllib3 requests sniffio anyio anyio._backends._asyncio h11 httpcore httpx datagen_sdk exuvia
""".split()


EXTENSION = "/lib/exuvia/exuvia_image.json"
EXTENSION_PACKAGES = "/lib/packages"


def standard_library():
    _import(STANDARD_LIBRARY)


def packages():
    _import(PACKAGES)
    if "numpy" in sys.modules:
        from exuvia_guest import mappings

        mappings.install()


def extension():
    """Import what an image has besides what is built in: `exuvia image build` puts both files there."""
    try:
        with open(EXTENSION) as file:
            names = json.load(file)
    except FileNotFoundError:
        return
    sys.path.append(EXTENSION_PACKAGES)
    for name in names:
        importlib.import_module(name)


def _import(names):
    for name in names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as missing:
            # An image may leave a package out. One that is there must import.
            if missing.name.partition(".")[0] != name.partition(".")[0]:
                raise
