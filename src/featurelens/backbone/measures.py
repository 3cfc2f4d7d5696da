"""Measurements of image cells in NumPy, a whole batch at a time: gradients, colours, binary patterns."""

from __future__ import annotations

import math

import numpy as np

from featurelens.shapes import Float32, UInt8

ORIENTATIONS = 9
HUES, SATURATIONS, VALUES = 12, 4, 4
PATTERNS = 10


def to_grey(pixels: UInt8[np.ndarray, "batch row col 3"]) -> UInt8[np.ndarray, "batch row col"]:
    """Luma by ITU-R 601, rounded to uint8."""
    return np.rint(pixels @ np.array([0.299, 0.587, 0.114], np.float32)).astype(np.uint8)


def oriented_cells(
    pixels: UInt8[np.ndarray, "batch row col 3"], cell: int
) -> Float32[np.ndarray, "batch orientation cell_row cell_col"]:
    """Mean gradient magnitude by orientation (nine over 180°) in each cell, the strongest colour channel counting.

    Dalal and Triggs, "Histograms of Oriented Gradients for Human Detection" (2005), as scikit-image has it:
    central differences, zero at the border, no interpolation between cells.
    """
    x = pixels.astype(np.float32)
    down, right = np.zeros_like(x), np.zeros_like(x)
    down[:, 1:-1] = x[:, 2:] - x[:, :-2]
    right[:, :, 1:-1] = x[:, :, 2:] - x[:, :, :-2]
    size = down * down + right * right
    best = size.argmax(3)[..., None]
    down, right = np.take_along_axis(down, best, 3)[..., 0], np.take_along_axis(right, best, 3)[..., 0]
    size = np.sqrt(np.take_along_axis(size, best, 3)[..., 0])
    degrees = np.rad2deg(np.arctan2(down, right, dtype=np.float64)) % 180
    bins = (degrees * (ORIENTATIONS / 180)).astype(np.int64)
    return _histogram(bins, ORIENTATIONS, cell, size) / np.float32(cell * cell)


def colour_cells(
    pixels: UInt8[np.ndarray, "batch row col 3"], cell: int
) -> Float32[np.ndarray, "batch colour cell_row cell_col"]:
    """Share of each cell's pixels in each of 12 × 4 × 4 boxes of hue, saturation and value."""
    x = pixels.astype(np.float32) / 255
    value, low = x.max(3), x.min(3)
    spread = value - low
    safe = np.where(spread > 0, spread, 1)
    r, g, b = x[..., 0], x[..., 1], x[..., 2]
    hue = (
        np.where(value == r, (g - b) / safe % 6, np.where(value == g, (b - r) / safe + 2, (r - g) / safe + 4))
        / 6
    )
    saturation = spread / np.where(value > 0, value, 1)
    boxes = np.minimum((hue * HUES).astype(np.int64), HUES - 1)
    boxes = boxes * SATURATIONS + np.minimum((saturation * SATURATIONS).astype(np.int64), SATURATIONS - 1)
    boxes = boxes * VALUES + np.minimum((value * VALUES).astype(np.int64), VALUES - 1)
    return _histogram(boxes, HUES * SATURATIONS * VALUES, cell, None) / np.float32(cell * cell)


def lbp_cells(
    grey: UInt8[np.ndarray, "batch row col"], cell: int
) -> Float32[np.ndarray, "batch pattern cell_row cell_col"]:
    """Share of each cell's pixels with each rotation-invariant uniform binary pattern of 8 neighbours.

    Ojala, Pietikäinen, Mäenpää, "Multiresolution gray-scale and rotation invariant texture classification
    with local binary patterns" (2002), radius 1, diagonal neighbours interpolated, zero outside the image.
    """
    return _histogram(lbp_codes(grey), PATTERNS, cell, None) / np.float32(cell * cell)


def lbp_codes(grey: UInt8[np.ndarray, "batch row col"]) -> np.ndarray:
    """The pattern of each pixel: the number of brighter neighbours if they adjoin each other, else 9."""
    x = np.pad(grey.astype(np.float64), ((0, 0), (2, 2), (2, 2)))
    rows, cols = grey.shape[1:]
    middle = grey.astype(np.float64)
    bits = []
    for k in range(8):
        angle = 2 * math.pi * k / 8
        dr, dc = round(-math.sin(angle), 5), round(math.cos(angle), 5)
        r0, c0 = math.floor(dr), math.floor(dc)
        fr, fc = dr - r0, dc - c0
        corner = [
            [x[:, 2 + r0 + i : 2 + r0 + i + rows, 2 + c0 + j : 2 + c0 + j + cols] for j in (0, 1)]
            for i in (0, 1)
        ]
        top = (1 - fc) * corner[0][0] + fc * corner[0][1]
        bottom = (1 - fc) * corner[1][0] + fc * corner[1][1]
        bits.append((1 - fr) * top + fr * bottom >= middle)
    stacked = np.stack(bits)
    changes = (stacked != np.roll(stacked, 1, axis=0)).sum(0)
    return np.where(changes <= 2, stacked.sum(0), PATTERNS - 1)


def _histogram(bins: np.ndarray, count: int, cell: int, weights: np.ndarray | None) -> np.ndarray:
    """Sums per bin and cell, as [batch, bin, cell row, cell column]; rows and columns beyond whole cells are cut."""
    batch, rows, cols = bins.shape
    down, across = rows // cell, cols // cell
    place = (np.arange(rows)[:, None] // cell) * across + np.arange(cols)[None] // cell
    index = (np.arange(batch)[:, None, None] * (down * across) + place[None]) * count + bins
    whole = (slice(None), slice(0, down * cell), slice(0, across * cell))
    flat = None if weights is None else weights[whole].ravel()
    total = np.bincount(index[whole].ravel(), flat, batch * down * across * count)
    return total.reshape(batch, down, across, count).transpose(0, 3, 1, 2).astype(np.float32)
