"""Images to compare two engines on where no photos are at hand."""

from __future__ import annotations

import numpy as np

from featurelens.images.fit import Fit
from featurelens.shapes import UInt8


def structured_noise(fit: Fit, count: int = 4) -> UInt8[np.ndarray, "image row col 3"]:
    """`count` images with structure at every scale, a black and a white one; the same each time.

    Flat ones because there a rounded constant (a variance, an epsilon) can become a division by zero.

    >>> structured_noise(Fit(64, 64)).shape
    (6, 64, 64, 3)
    """
    random = np.random.default_rng(0)
    total = np.zeros((count, fit.rows, fit.cols, 3))
    for step in (2, 8, 32):
        coarse = random.normal(size=(count, fit.rows // step + 1, fit.cols // step + 1, 3))
        total += np.repeat(np.repeat(coarse, step, 1), step, 2)[:, : fit.rows, : fit.cols]
    flat = np.stack([np.zeros_like(total[0]), np.full_like(total[0], 255)])
    return np.concatenate([127 + 40 * total, flat]).clip(0, 255).astype(np.uint8)
