"""One image, from whatever the caller has, to uint8 RGB."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
from PIL import Image

from featurelens.errors import ImageError
from featurelens.images.colour import orientation_of, to_rgb, upright
from featurelens.images.fit import Fit
from featurelens.images.jpeg import decode_jpeg
from featurelens.images.opened import check_size, damage_is_a_reason, open_image
from featurelens.images.resize import apply_fit
from featurelens.shapes import UInt8

DEFAULT_MAX_PIXELS = 100_000_000
_LARGE = 25_000_000
_one_large_at_a_time = Lock()

Source = str | os.PathLike[str] | bytes | np.ndarray | Image.Image


@dataclass(frozen=True, eq=False)
class Decoded:
    """Pixels, and what the original was: width and height after its EXIF orientation, format."""

    pixels: UInt8[np.ndarray, "row col 3"]
    width: int
    height: int
    format: str


def decode(
    source: Source, *, fit: Fit | None = None, exact: bool = False, max_pixels: int = DEFAULT_MAX_PIXELS
) -> Decoded:
    """Read a path, the bytes of a file, a Pillow image or a uint8 array as RGB, fitted to a backbone.

    Without `fit` the pixels have full size. Large JPEGs are decoded at a fraction of their size unless
    `exact`, which equals Pillow's decoder and torchvision's Resize and CenterCrop bit for bit. Animations
    give their first frame; alpha is laid on white. Raises ImageError with the reason in plain words.

    >>> decode(np.zeros((30, 40), np.uint8), fit=Fit(8, 8)).pixels.shape
    (8, 8, 3)
    """
    if isinstance(source, np.ndarray):
        source = _from_array(source)
    if isinstance(source, Image.Image):
        check_size(source.width, source.height, max_pixels)
        with damage_is_a_reason():
            kind = source.format or "array"
            return _finish(upright(to_rgb(source), orientation_of(source)), fit, exact, kind)
    return _from_bytes(source if isinstance(source, bytes) else _read(Path(source)), fit, exact, max_pixels)


def _from_bytes(data: bytes, fit: Fit | None, exact: bool, max_pixels: int) -> Decoded:
    image, kind = open_image(data, max_pixels)
    with _turn(image.width * image.height), damage_is_a_reason():
        if kind == "JPEG" and not exact and image.mode in ("RGB", "L"):
            turned = orientation_of(image)
            sideways = turned >= 5
            stored = (
                Fit(fit.cols, fit.rows, fit.mode, fit.crop_pct, fit.interpolation)
                if fit and sideways
                else fit
            )
            rgb = decode_jpeg(data, image.size, stored)
            if rgb is not None:
                original = image.size[::-1] if sideways else image.size
                return _finish(upright(rgb, turned), fit, exact, kind, original)
        image.load()
        check_size(image.width, image.height, max_pixels)
        return _finish(upright(to_rgb(image), orientation_of(image)), fit, exact, kind)


def _finish(
    rgb: Image.Image, fit: Fit | None, exact: bool, kind: str, original: tuple[int, int] | None = None
) -> Decoded:
    width, height = original or rgb.size
    fitted = rgb if fit is None else apply_fit(rgb, fit, exact=exact, like=original)
    return Decoded(np.array(fitted), width, height, kind)


def _turn(pixels: int) -> AbstractContextManager[object]:
    """Large images are decoded one after the other, so that two threads do not double the peak of memory."""
    return _one_large_at_a_time if pixels > _LARGE else nullcontext()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ImageError(f"the file cannot be read: {(error.strerror or 'unknown error').lower()}") from error
    except ValueError as error:  # a NUL byte in the name
        raise ImageError("the file cannot be read: its name is not a valid one") from error


def _from_array(pixels: np.ndarray) -> Image.Image:
    fits = pixels.dtype == np.uint8 and (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4)))
    if not fits:
        raise ImageError(
            f"an array of {pixels.dtype} {list(pixels.shape)} is no image; expected uint8 [row, col, 3], "
            "[row, col, 4] or [row, col]"
        )
    if 0 in pixels.shape:
        raise ImageError(f"the image has no pixels ({pixels.shape[1]} × {pixels.shape[0]})")
    return Image.fromarray(pixels)
