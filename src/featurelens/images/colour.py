"""Every pixel type that Pillow knows, as 8-bit RGB or grey; transparent parts lie on white."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageCms

from featurelens.errors import ImageError
from featurelens.shapes import UInt8

_STRIP = 1 << 21  # pixels that are widened to floats at a time


def flatten(image: Image.Image, *, bits: int | None = None, negative: bool = False) -> Image.Image:
    """`image` in mode "RGB", or "L" where it has no colour.

    Transparency is laid on white; 16-bit, 32-bit and float values are scaled, not clipped (`bits`: how many
    of them the file uses, if it says so); CMYK, YCbCr and HSV go through Pillow's conversion, as in the
    usual training pipelines; colour profiles are not applied.
    """
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return _scaled(image, bits, negative=negative)
    if image.mode == "1":
        return image.convert("L") if "transparency" not in image.info else _on_white(image.convert("RGBA"))
    if image.mode in ("LA", "La"):
        return _on_white(image if image.mode == "LA" else image.convert("LA"))
    if image.mode in ("RGBA", "RGBa", "PA") or "transparency" in image.info:
        return _on_white(image if image.mode == "RGBA" else _rgba(image, bits))
    if image.mode == "LAB":
        return _from_lab(image)
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def from_array(array: np.ndarray) -> Image.Image:
    """A uint8 array [row, col], [row, col, 3] (RGB) or [row, col, 4] (RGBA) as a Pillow image."""
    good = array.dtype == np.uint8 and (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4)))
    if not good or array.size == 0:
        raise ImageError(
            f"an array of {array.dtype} with shape {array.shape} is not an image; expected uint8 with shape "
            f"[rows, columns], [rows, columns, 3] (RGB) or [rows, columns, 4] (RGBA), none of them 0{_mend(array)}"
        )
    return Image.fromarray(np.ascontiguousarray(array))


def _mend(array: np.ndarray) -> str:
    """What turns an array as networks take it into an image."""
    told = []
    if array.ndim == 3 and array.shape[0] in (1, 3, 4) and array.shape[2] not in (3, 4):
        told.append("put the channels last (in NumPy x.transpose(1, 2, 0), in torch x.permute(1, 2, 0))")
    if array.dtype.kind == "f":
        told.append("make its values uint8 (of values from 0 to 1: times 255 and rounded)")
    return f"; {' and '.join(told)}" if told and array.size else ""


def in_colour(pixels: UInt8[np.ndarray, "row col *rgb"]) -> UInt8[np.ndarray, "row col 3"]:
    """RGB or grey pixels as RGB that may be written to."""
    if pixels.ndim == 2:
        return np.repeat(pixels[..., None], 3, axis=2)
    return pixels if pixels.flags.writeable else pixels.copy()


def _rgba(image: Image.Image, bits: int | None) -> Image.Image:
    key = image.info.get("transparency")
    if bits != 16 or not isinstance(key, tuple):
        return image.convert("RGBA")
    image = image.copy()
    image.info["transparency"] = tuple(
        value >> 8 for value in key
    )  # of the values Pillow keeps the high byte
    return image.convert("RGBA")


def _on_white(image: Image.Image) -> Image.Image:
    grey = image.mode == "LA"
    ground = Image.new("L" if grey else "RGB", image.size, "white")
    ground.paste(image.getchannel("L") if grey else image, mask=image.getchannel("A"))
    return ground


def _from_lab(image: Image.Image) -> Image.Image:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    return converted if converted is not None else image.convert("RGB")


def _scaled(image: Image.Image, bits: int | None, *, negative: bool) -> Image.Image:
    low, high = _range(image, bits)
    key = image.info.get("transparency")
    grey = np.empty((image.height, image.width), np.uint8)
    for top, strip in _strips(image):
        level = np.clip((strip.astype(np.float64) - low) * (255 / (high - low)), 0, 255)
        level = np.rint(np.nan_to_num(level, copy=False)).astype(np.uint8)
        level = 255 - level if negative else level
        grey[top : top + len(strip)] = np.where(strip == key, 255, level) if isinstance(key, int) else level
    return Image.fromarray(grey)


def _range(image: Image.Image, bits: int | None) -> tuple[float, float]:
    """Which values mean black and white: those of the declared depth, else of the narrowest that holds all."""
    if image.mode.startswith("I;16"):
        return 0.0, float(2 ** (bits or 16) - 1)
    finite = (strip[np.isfinite(strip)] for _, strip in _strips(image))
    extremes = [(float(part.min()), float(part.max())) for part in finite if part.size]
    if not extremes:
        return 0.0, 1.0
    low, high = min(low for low, _ in extremes), max(high for _, high in extremes)
    for white in ((1.0,) if image.mode == "F" else ()) + (255.0, 65535.0):
        if low >= 0 and high <= white:
            return 0.0, white
    return low, high if high > low else low + 1


def _strips(image: Image.Image) -> Iterator[tuple[int, np.ndarray]]:
    rows = max(1, _STRIP // image.width)
    for top in range(0, image.height, rows):
        yield top, np.asarray(image.crop((0, top, image.width, min(top + rows, image.height))))
