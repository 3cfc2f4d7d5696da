"""A map as a picture of its own, and laid over the image that it explains."""

from __future__ import annotations

import numpy as np
from PIL import Image

from featurelens.see.render.colour import colourize, levels_of, table
from featurelens.see.render.scale import to_range
from featurelens.shapes import Float, UInt8


def heat(
    values: Float[np.ndarray, "row col"],
    *,
    signed: bool = False,
    percentile: float = 99.5,
    least: float = 0.0,
    peak: float | None = None,
) -> UInt8[np.ndarray, "row col 3"]:
    """A map as colours: "heat" for what is above 0, or "diverging" (blue below, red above 0) if `signed`."""
    scaled = to_range(values, signed=signed, percentile=percentile, least=least, peak=peak)
    return colourize(scaled, "diverging" if signed else "heat")


def overlay(
    pixels: UInt8[np.ndarray, "row col 3"],
    values: Float[np.ndarray, "map_row map_col"],
    *,
    signed: bool = False,
    percentile: float = 99.5,
    least: float = 0.0,
    peak: float | None = None,
    smooth: bool = True,
    opacity: float = 0.85,
) -> UInt8[np.ndarray, "row col 3"]:
    """The map in colours over a grey copy of the image; where the map is zero, the image stays to be seen.

    A coarse map is enlarged to the image, smoothly or (`smooth=False`) as squares.

    >>> int(overlay(np.full((8, 8, 3), 200, np.uint8), np.zeros((2, 2))).max())
    200
    """
    rows, cols = pixels.shape[:2]
    scaled = to_range(values, signed=signed, percentile=percentile, least=least, peak=peak)
    scaled = enlarge(np.nan_to_num(scaled).astype(np.float32), rows, cols, smooth=smooth)
    name = "diverging" if signed else "heat"
    levels = Image.fromarray(levels_of(scaled, name))
    colours = levels.copy()
    colours.putpalette(table(name).tobytes())
    sizes = np.abs(np.linspace(-1 if signed else 0, 1, 255))
    weights = levels.point([*np.rint(255 * opacity * sizes**0.85).astype(int).tolist(), 0])
    photo = Image.fromarray(pixels)
    ground = Image.blend(photo.convert("L").convert("RGB"), photo, 0.25)
    return np.array(Image.composite(colours.convert("RGB"), ground, weights))


def enlarge(
    values: Float[np.ndarray, "map_row map_col"], rows: int, cols: int, *, smooth: bool = True
) -> Float[np.ndarray, "row col"]:
    """The map at another size: smooth (bicubic, within the range of the map), or as squares.

    >>> enlarge(np.array([[1.0, 2.0]]), 1, 4, smooth=False).tolist()
    [[1.0, 1.0, 2.0, 2.0]]
    """
    if values.shape == (rows, cols):
        return values
    how = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
    drawn = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32)).resize((cols, rows), how)
    return np.clip(np.asarray(drawn).astype(values.dtype), values.min(), values.max())
