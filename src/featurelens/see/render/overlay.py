"""A map as a picture of its own, and laid over the image that it explains."""

from __future__ import annotations

import numpy as np
from PIL import Image

from featurelens.see.render.colour import colourize
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
    weight = opacity * np.clip(np.abs(scaled), 0, 1)[..., None] ** 0.85
    colours = colourize(scaled, "diverging" if signed else "heat")
    ground = 0.25 * pixels.astype(np.float32)
    ground += np.einsum("rck,k->rc", ground, np.array([0.897, 1.761, 0.342], np.float32))[
        ..., None
    ]  # 3/4 grey
    mixed = colours - ground
    mixed *= weight
    mixed += ground
    return np.rint(np.clip(mixed, 0, 255, out=mixed), out=mixed).astype(np.uint8)


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
