"""Opening a file with the one Pillow reader that its first bytes ask for, and turning failures into reasons."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

from featurelens.errors import ImageError, MissingExtra
from featurelens.images.formats import describe, sniff

# What Pillow's readers raise on damaged files, besides OSError. DecompressionBombError is an Exception.
_DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    EOFError,
    RuntimeError,
    AssertionError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def open_image(data: bytes, max_pixels: int) -> tuple[Image.Image, str]:
    """The image in `data`, header read but pixels not yet, and its format; ImageError says why not."""
    kind = sniff(data[:256])
    if kind is None:
        raise ImageError(describe(data[:256]))
    _hush()
    with damage_is_a_reason():
        image = _reader(kind)(io.BytesIO(data), "")
        check_size(image.width, image.height, max_pixels)
    return image, kind


def check_size(width: int, height: int, max_pixels: int) -> None:
    """ImageError if an image of this size has no pixels, or more than `max_pixels`."""
    if width < 1 or height < 1:
        raise ImageError(f"the image has no pixels ({width} × {height})")
    if width * height > max_pixels:
        raise ImageError(
            f"{width} × {height} is {width * height / 1e6:,.0f} megapixels, above the limit of "
            f"{max_pixels / 1e6:,.0f} (max_pixels raises it)"
        )


@contextmanager
def damage_is_a_reason() -> Iterator[None]:
    """Whatever a reader raises on damaged data becomes an ImageError in plain words."""
    try:
        yield
    except MemoryError:
        raise ImageError("there was not enough memory to decode the image") from None
    except _DAMAGED as error:
        raise ImageError(_plain(error)) from error


def _reader(kind: str):
    """Pillow's own class for a format: never its search through all readers, some of which run programs."""
    if kind == "HEIF":
        try:
            from pillow_heif import HeifImagePlugin
        except ImportError:
            missing = MissingExtra("pillow-heif", "heif", "a HEIF photo")
            raise ImageError(str(missing)) from None
        return HeifImagePlugin.HeifImageFile
    Image.init()
    if kind not in Image.OPEN:
        raise ImageError(f"this Pillow is built without {kind}; install a newer one: pip install -U pillow")
    return Image.OPEN[kind][0]


def _plain(error: BaseException) -> str:
    text = str(error).lower()
    if isinstance(error, Image.DecompressionBombError):
        return "a part of the file unpacks to more pixels than its limit allows"
    if any(word in text for word in ("truncated", "unexpected end", "not enough", "eof", "cut")):
        return "the file is cut off: a part of the image is missing"
    if any(
        word in text for word in ("unsupported", "unknown", "not supported", "unrecognized", "cannot handle")
    ):
        return "the file uses a variant of its format that cannot be read"
    return "the file is damaged and cannot be decoded"


def _hush() -> None:
    """Pillow's warnings about odd metadata are no news to the user; set again where a test has reset filters."""
    wanted = "PIL"
    if not any(f[0] == "ignore" and getattr(f[3], "pattern", None) == wanted for f in warnings.filters[:8]):
        warnings.filterwarnings("ignore", module=wanted)
