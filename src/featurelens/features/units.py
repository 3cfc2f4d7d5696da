"""Rows of length one, and the rows that cannot have it."""

from __future__ import annotations

import numpy as np

from featurelens.shapes import Bool, Float, Float32

NOT_FINITE = "the backbone gives numbers that are not finite for it"
ZERO = "the backbone gives a zero vector for it, which has no direction to compare"


def unit_rows(
    raw: Float[np.ndarray, "row dim"],
) -> tuple[Float32[np.ndarray, "row dim"], Bool[np.ndarray, " row"]]:
    """L2-normalised rows (norms taken in float64), and which rows are fit to use (finite, not zero)."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        wide = np.asarray(raw, np.float64)
        scale = np.abs(wide).max(1, keepdims=True, initial=0.0)
        wide = wide / scale
        units = (wide / np.sqrt((wide * wide).sum(1, keepdims=True))).astype(np.float32)
    good = np.isfinite(units).all(1)
    units[~good] = 0
    return units, good


def why_unfit(row: Float[np.ndarray, " dim"]) -> str:
    """The reason in plain words for a row that `unit_rows` refuses."""
    return ZERO if np.isfinite(row).all() else NOT_FINITE
