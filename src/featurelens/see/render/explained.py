"""The picture of an explanation: the image, the map over it, and in words what one sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from featurelens.see.render.overlay import overlay
from featurelens.see.render.sheet import captioned, sheet
from featurelens.shapes import Float, UInt8

if TYPE_CHECKING:
    from featurelens.see.explanation import Explanation


def draw_explanation(
    explained: Explanation,
    *,
    signed: bool = False,
    percentile: float | None = None,
    smoothing: float | None = None,
    side: int = 320,
) -> UInt8[np.ndarray, "row col 3"]:
    """Image and map side by side, each `side` pixels wide, with captions.

    `signed` shows what lowers the score in blue. Maps of single pixels are grainy, and their signs alternate: they
    are drawn as sizes (unless `signed`) under a Gaussian of `smoothing` (share of the side, default 1.5 %) and
    clipped at the `percentile` 99.5; coarse maps are only enlarged.
    """
    rows, cols = explained.pixels.shape[:2]
    fine = explained.values.shape == (rows, cols) and explained.method != "occlusion"
    values = explained.values
    if fine:
        sizes = values if signed else np.abs(values)
        values = softened(sizes, (0.015 if smoothing is None else smoothing) * cols)
    clip = (99.5 if fine else 100.0) if percentile is None else percentile
    image = _sized(explained.pixels, side)
    drawn = overlay(image, values, signed=signed, percentile=clip)
    left = captioned(image, f"{explained.target}\nscore {explained.score:.4g}")
    return sheet([left, captioned(drawn, _caption(explained), lines=2)], columns=2, title=_title(explained))


def softened(values: Float[np.ndarray, "row col"], sigma: float) -> Float[np.ndarray, "row col"]:
    """A Gaussian blur of the map, in its own pixels; edges are mirrored."""
    if sigma < 0.3:
        return values
    reach = int(3 * sigma + 0.5)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    for axis in (0, 1):
        pad = [(reach, reach) if a == axis else (0, 0) for a in (0, 1)]
        padded = np.pad(values, pad, mode="symmetric")
        values = np.apply_along_axis(np.convolve, axis, padded, kernel, mode="valid")
    return values


def _title(explained: Explanation) -> str:
    name = explained.backbone.rstrip("/")
    return f"{explained.method} on {name.rsplit('/', 1)[-1] if name.startswith('local-dir:') else name}"


def _caption(explained: Explanation) -> str:
    lines = [f"layer {explained.layer}" if explained.layer else explained.method]
    if "gap" in explained.facts:
        gap = explained.facts["gap"]
        state = "adds up" if explained.facts["complete"] else "does NOT add up"
        lines.append(f"{state} (gap {100 * gap:.2g} %, {explained.facts['steps']} steps)")
    if explained.trust is not None:
        lines.append(f"checked: {explained.trust.level}")
    if not np.any(explained.values):
        lines.append("the map is empty: nothing in the image moves this score")
    return "\n".join(lines)


def _sized(pixels: np.ndarray, side: int) -> np.ndarray:
    rows, cols = pixels.shape[:2]
    size = (side, max(1, round(side * rows / cols)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
