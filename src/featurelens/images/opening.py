"""Opening a file with Pillow: only by the class that its first bytes name, every failure an ImageError."""

from __future__ import annotations

import struct
import zlib
from importlib import import_module
from io import BufferedIOBase

from PIL import Image

from featurelens.errors import ImageError
from featurelens.images.formats import FORMATS
from featurelens.images.kinds import RAW

PILLOW_ERRORS = (
    OSError,  # truncated and unreadable data, codecs' own failures
    SyntaxError,  # "not a PNG file", broken chunks
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,  # fields that a damaged header left out
    EOFError,
    ArithmeticError,  # overflow, division by a size of zero
    AssertionError,
    RuntimeError,  # libheif; unknown variants (NotImplementedError); recursion
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Warning,  # where the user has turned warnings into errors
)
"""What Pillow's readers raise on damaged files, found by reading them and by the files in the tests."""

_CUT = (
    "truncated",
    "not enough",
    "unexpected end",
    "end of file",
    "eof",
    "premature",
    "no more data",
    "incomplete",
)
_SLOW_LIMIT = 4_000_000  # pixels, where Pillow decodes in Python: some seconds
_ORIENTATION, _SUBFILE_KIND, _SUB_IFDS, _DNG_VERSION = 0x0112, 254, 330, 50706
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def open_image(file: BufferedIOBase, name: str, max_pixels: int) -> Image.Image:
    """The header of a file in format `name`, read and judged, its pixels not yet; call `load` for these.

    Pillow's classes are called directly: no other format is tried, and `max_pixels` replaces Pillow's limit.
    """
    module, _, attribute = FORMATS[name].opener.partition(":")
    try:
        opener = getattr(import_module(module), attribute)
    except ImportError:
        hint = " It needs the package pillow-heif: pip install 'featurelens[heif]'" if name == "HEIF" else ""
        raise ImageError(f"{FORMATS[name].label} cannot be read by this installation.{hint}") from None
    try:
        image: Image.Image = opener(file, "")
        _refuse_raw(image)
    except PILLOW_ERRORS as error:
        raise ImageError(_reason(error, FORMATS[name].label, "its header cannot be read")) from error
    check_size(*image.size, max_pixels)
    slow = any(tile[0] in Image.DECODERS for tile in getattr(image, "tile", ()))
    own = _SLOW_LIMIT if slow else FORMATS[name].max_pixels
    if own and image.width * image.height > own:
        raise ImageError(
            f"this kind of {FORMATS[name].label} with more than {own // 1_000_000} megapixels takes too long "
            "or too much memory to read"
        )
    return image


def load(image: Image.Image, name: str) -> None:
    """Decode the pixels; raises ImageError when they are damaged, incomplete or of an unknown kind."""
    label = FORMATS[name].label if name in FORMATS else name
    try:
        image.load()
    except PILLOW_ERRORS as error:
        raise ImageError(_reason(error, label, "its picture data cannot be decoded")) from error


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Raises ImageError for a picture without pixels or with more than `max_pixels`."""
    if width < 1 or height < 1:
        raise ImageError("the picture has no pixels")
    if width * height > max_pixels:
        raise ImageError(
            f"{width} x {height} pixels are more than the limit of {max_pixels:,} (option max_pixels)"
        )


def _refuse_raw(image: Image.Image) -> None:
    """Cameras' raw files are TIFF files whose first picture is a stamp-sized preview."""
    tags = getattr(image, "tag_v2", {})
    preview = tags.get(_SUBFILE_KIND) == 1 and _SUB_IFDS in tags
    if preview or _DNG_VERSION in tags:
        raise ImageError(RAW)


def orientation(image: Image.Image) -> int:
    """The EXIF (or XMP) orientation, 1 to 8; 1 when there is none or it is damaged."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except PILLOW_ERRORS:
        return 1
    return value if value in _UPRIGHT else 1


def upright(image: Image.Image, turn: int) -> Image.Image:
    """`image` turned and mirrored as the orientation `turn` asks."""
    return image.transpose(_UPRIGHT[turn]) if turn in _UPRIGHT else image


def _reason(error: BaseException, label: str, otherwise: str) -> str:
    text = str(error).lower()
    if isinstance(error, Image.DecompressionBombError):
        return "a picture inside the file has more pixels than the limit"
    if isinstance(error, EOFError) or any(word in text for word in _CUT):
        return f"the {label} file is damaged or cut short: its data end too early"
    if (
        isinstance(error, NotImplementedError)
        or "unsupported" in text
        or "not supported" in text
        or "unknown" in text
    ):
        return f"a variant of {label} that cannot be read"
    return f"the {label} file is damaged: {otherwise}"
