"""Colour maps in which equal steps of the value look like equal steps, made in the OKLab colour space."""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np

from featurelens.shapes import Float, UInt8

ColourMap = Literal["heat", "diverging", "grey"]

# Ottosson, "A perceptual color space for image processing" (2020): linear sRGB <- LMS^3 <- OKLab.
_TO_LMS = np.array(
    [
        [1.0, 0.3963377774, 0.2158037573],
        [1.0, -0.1055613458, -0.0638541728],
        [1.0, -0.0894841775, -1.2914855480],
    ]
)
_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)
# Lightness, chroma and hue (degrees) of the points that "heat" runs through, dark to light.
_HEAT = (
    (0.10, 0.03, 285),
    (0.27, 0.13, 293),
    (0.45, 0.19, 340),
    (0.64, 0.19, 35),
    (0.82, 0.15, 75),
    (0.97, 0.06, 105),
)


def colourize(
    values: Float[np.ndarray, "row col"], name: ColourMap = "heat"
) -> UInt8[np.ndarray, "row col 3"]:
    """Values as colours: 0 … 1 for "heat" and "grey", -1 … 1 for "diverging" (blue, white, red).

    What lies outside is clipped; what is not a number is shown grey.

    >>> colourize(np.array([[-1.0, 0.0, 1.0]]), "diverging")[0, 1].tolist()
    [246, 246, 246]
    """
    known = np.isfinite(values)
    picture = table(name)[levels_of(np.where(known, values, 0), name)]
    picture[~known] = 128
    return picture


def levels_of(values: Float[np.ndarray, "row col"], name: ColourMap) -> UInt8[np.ndarray, "row col"]:
    """Which of the 255 colours of the map each value has."""
    low = -1.0 if name == "diverging" else 0.0
    return np.rint(np.clip((values - low) / (1.0 - low), 0, 1) * 254).astype(np.uint8)


@cache
def table(name: ColourMap) -> UInt8[np.ndarray, "255 3"]:
    """The 255 colours of a map, first to last; the middle one of "diverging" has no colour."""
    t = np.linspace(0, 1, 255)
    if name == "grey":
        lab = np.stack([t, 0 * t, 0 * t], axis=1)
    elif name == "diverging":
        side = np.abs(2 * t - 1)
        hue = np.radians(np.where(t < 0.5, 258.0, 28.0))
        chroma = 0.165 * side
        lab = np.stack([0.973 - 0.5 * side, chroma * np.cos(hue), chroma * np.sin(hue)], axis=1)
    else:
        lightness, chroma, hue = (np.array(column) for column in zip(*_HEAT, strict=True))
        hue = np.unwrap(np.radians(hue))
        points = np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=1)
        lab = _evenly(points)
    return _srgb(lab)


def _evenly(points: np.ndarray) -> np.ndarray:
    """255 points of the smoothed polyline through `points`, at equal distances from one another."""
    at = np.linspace(0, len(points) - 1, 2001)
    line = np.stack([np.interp(at, np.arange(len(points)), column) for column in points.T], axis=1)
    width = 201
    padded = np.concatenate([np.repeat(line[:1], width, 0), line, np.repeat(line[-1:], width, 0)])
    kernel = np.hanning(2 * width + 1)
    line = np.stack([np.convolve(c, kernel / kernel.sum(), mode="valid") for c in padded.T], axis=1)
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    wanted = np.linspace(0, length[-1], 255)
    return np.stack([np.interp(wanted, length, column) for column in line.T], axis=1)


def _srgb(lab: np.ndarray) -> UInt8[np.ndarray, "255 3"]:
    linear = np.clip(((lab @ _TO_LMS.T) ** 3) @ _TO_RGB.T, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(encoded * 255).astype(np.uint8)
