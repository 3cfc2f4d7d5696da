"""Sliding one small picture over another, shift by shift."""

from __future__ import annotations

import numpy as np


def slid(whole: np.ndarray, part: np.ndarray, side: int) -> np.ndarray:
    """Normalised correlation [row, col] of `part` at every shift over `whole`, both on a periodic side x side grid."""
    canvas = np.zeros((side, side))
    canvas[: whole.shape[0], : whole.shape[1]] = whole
    rows, cols = part.shape
    area = rows * cols
    length = max(float((part**2).sum()), 0.05 * area)
    scores = np.empty((side, side))
    for row in range(side):
        for col in range(side):
            under = np.roll(canvas, (-row, -col), (0, 1))[:rows, :cols]
            energy = max(float((under**2).sum()), 0.05 * area)
            scores[row, col] = (under * part).sum() / np.sqrt(energy * length)
    return scores
