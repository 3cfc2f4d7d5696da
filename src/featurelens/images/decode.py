"""Any image file, bytes, array or Pillow image to RGB pixels, upright, at full size or fitted."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from io import BufferedIOBase
from typing import Any

import numpy as np
from PIL import Image

from featurelens.errors import ImageError, InvalidInput
from featurelens.images import jpeg
from featurelens.images.budget import MemoryBudget
from featurelens.images.colour import flatten, from_array, in_colour
from featurelens.images.fit import Fit
from featurelens.images.formats import FORMATS, HEAD, sniff
from featurelens.images.kinds import why_not
from featurelens.images.opening import PILLOW_ERRORS, check_size, load, open_image, orientation, upright
from featurelens.images.png import check_filled
from featurelens.images.quiet import quiet
from featurelens.images.reading import opened
from featurelens.images.resize import Box, resize, resize_exactly
from featurelens.images.tensors import as_array
from featurelens.shapes import UInt8

DEFAULT_MAX_PIXELS = 100_000_000
Source = str | os.PathLike[str] | bytes | np.ndarray | Image.Image

_JPEG_IN_MEMORY = 256_000_000  # bytes; a larger file is read by Pillow piece by piece
_budget = MemoryBudget(
    1_200_000_000
)  # bytes that all threads may use at once; a larger picture waits to be alone


@dataclass(frozen=True, eq=False)
class Decoded:
    """RGB `pixels`, and the original's width and height (upright) and format."""

    pixels: UInt8[np.ndarray, "row col 3"]
    width: int
    height: int
    format: str


def decode(
    source: Source | Any, *, fit: Fit | None = None, exact: bool = False, max_pixels: int = DEFAULT_MAX_PIXELS
) -> Decoded:
    """Decode `source` (path, file contents, uint8 array or tensor, Pillow image) to upright 8-bit RGB.

    `fit=None` keeps the size. `exact=True` equals Pillow's decoding and timm's or torchvision's evaluation
    transform bit for bit; the default decodes large JPEGs smaller from the start (see `jpeg.scale`) and cuts
    while resizing, which is faster and nearly the same. Transparency lies on white, of an animation comes the
    first frame. More than `max_pixels`, judged from the header, is refused.
    Raises ImageError, whose `reason` says in plain words why there is no picture; InvalidInput for what is none of these.

    >>> decode(np.zeros((300, 400, 3), np.uint8), fit=Fit()).pixels.shape
    (224, 224, 3)
    """
    try:
        return _decode(as_array(source), fit, exact, max_pixels)
    except MemoryError:
        raise ImageError("not enough memory to decode it") from None


def _decode(source: Any, fit: Fit | None, exact: bool, max_pixels: int) -> Decoded:
    with quiet():
        if isinstance(source, np.ndarray):
            image = from_array(source)
            check_size(*image.size, max_pixels)
            return _finish(flatten(image), image.size, "array", fit, exact)
        if isinstance(source, Image.Image):
            return _from_pillow(source, fit, exact, max_pixels)
        if isinstance(source, bytes):
            return _from_file(io.BytesIO(source), len(source), fit, exact, max_pixels)
        if not isinstance(source, str | os.PathLike):
            raise InvalidInput(
                f"An image is a path, the bytes of a file, a uint8 array or tensor [row, column, 3] or a Pillow image, "
                f"not {type(source).__name__}."
            )
        with opened(source) as (file, size):
            return _from_file(file, size, fit, exact, max_pixels)


def _from_file(file: BufferedIOBase, size: int, fit: Fit | None, exact: bool, max_pixels: int) -> Decoded:
    head = file.read(HEAD)
    name = sniff(head)
    if name is None:
        raise ImageError(why_not(head))
    if name == "JPEG" and size <= _JPEG_IN_MEMORY:
        return _from_jpeg(head + file.read(), fit, exact, max_pixels)
    if name == "PNG":
        check_filled(file)
    file.seek(0)
    image = open_image(file, name, max_pixels)
    with _budget.hold(_cost(image, name)):
        return _load_and_finish(image, name, fit, exact)


def _from_jpeg(data: bytes, fit: Fit | None, exact: bool, max_pixels: int) -> Decoded:
    image = open_image(io.BytesIO(data), "JPEG", max_pixels)
    width, height = image.size
    if "progressive" in image.info:
        jpeg.check_scans(data)
    if exact or image.mode not in ("L", "RGB"):
        with _budget.hold(_cost(image, "JPEG")):
            jpeg.check_complete(data, cmyk=image.mode == "CMYK")
            return _load_and_finish(image, "JPEG", fit, exact)
    turn = orientation(image)
    eighths = jpeg.scale(width, height, fit) if turn < 5 else jpeg.scale(height, width, fit)
    # a progressive file is held whole, as 2-byte coefficients, whatever the scale
    with _budget.hold(width * height * (10 if eighths == 8 else 3)):
        scaled = jpeg.decode_scaled(data, width, height, grey=image.mode == "L", eighths=eighths)
        if scaled is not None:
            return _finish_scaled(scaled, (width, height), turn, fit)
    with _budget.hold(_cost(image, "JPEG")):
        return _load_and_finish(image, "JPEG", fit, exact)


def _from_pillow(image: Image.Image, fit: Fit | None, exact: bool, max_pixels: int) -> Decoded:
    name = image.format or "image"
    check_size(*image.size, max_pixels)
    with _budget.hold(_cost(image, name)):
        return _load_and_finish(image, name, fit, exact)


def _load_and_finish(image: Image.Image, name: str, fit: Fit | None, exact: bool) -> Decoded:
    bits, negative = declared_bits(image), _white_is_zero(image)
    load(image, name)
    turn = orientation(image)
    try:
        flat = upright(flatten(image, bits=bits, negative=negative), turn)
    except PILLOW_ERRORS as error:
        raise ImageError(f"its colours (Pillow's mode {image.mode}) cannot be turned into RGB") from error
    return _finish(flat, flat.size, name, fit, exact)


def _finish_scaled(scaled: jpeg.Scaled, size: tuple[int, int], turn: int, fit: Fit | None) -> Decoded:
    """Turn upright; the rounded-up edge that libjpeg added at the right and bottom goes with it."""
    pixels = scaled.pixels
    if turn > 1:
        pixels = np.asarray(upright(Image.fromarray(pixels), turn))
    width, height = size if turn < 5 else size[::-1]
    if fit is None:
        return Decoded(in_colour(pixels), width, height, "JPEG")
    wide, high = scaled.valid if turn < 5 else scaled.valid[::-1]
    left = pixels.shape[1] - wide if turn in (2, 3, 6, 7) else 0.0
    top = pixels.shape[0] - high if turn in (3, 4, 7, 8) else 0.0
    valid: Box = (left, top, left + wide, top + high)
    fitted = resize(pixels, fit, size=(width, height), valid=valid)
    return Decoded(in_colour(fitted), width, height, "JPEG")


def _finish(image: Image.Image, size: tuple[int, int], name: str, fit: Fit | None, exact: bool) -> Decoded:
    if fit is not None and not exact:
        return Decoded(in_colour(resize(image, fit)), *size, name)
    return Decoded(in_colour(np.asarray(image if fit is None else resize_exactly(image, fit))), *size, name)


def _cost(image: Image.Image, name: str) -> int:
    return image.width * image.height * (FORMATS[name].bytes_per_pixel if name in FORMATS else 12)


def _white_is_zero(image: Image.Image) -> bool:
    """Whether a TIFF says that 0 is white, as scans of films do; Pillow turns the 8-bit ones round itself."""
    tags = getattr(image, "tag_v2", None)
    return tags is not None and tags.get(262) == 0 and image.mode[0] in "IF"


def declared_bits(image: Image.Image) -> int | None:
    """Bits of a grey or colour value as the file's header says them, where Pillow's mode does not tell."""
    tags = getattr(image, "tag_v2", None)
    if tags is not None and image.mode.startswith("I;16"):
        bits = tags.get(258, (16,))
        return bits[0] if isinstance(bits, tuple) and 8 < bits[0] <= 16 else 16
    tiles = getattr(image, "tile", None)
    return 16 if image.format == "PNG" and tiles and str(tiles[0][3]).endswith(";16B") else None
