"""The check at the door of every engine: what an array of pixels must be, and what it was."""

from __future__ import annotations

from typing import Any

import numpy as np

from featurelens.errors import InvalidInput
from featurelens.images.fit import Fit


def check_pixels(pixels: Any, fit: Fit) -> np.ndarray:
    """`pixels` if it is uint8 `[batch, row, col, 3]` of the size in `fit`; InvalidInput says what it is."""
    wanted = f"uint8 RGB of shape [batch, {fit.rows}, {fit.cols}, 3]"
    if not isinstance(pixels, np.ndarray):
        raise InvalidInput(f"Pixels must be a numpy array, {wanted}; this is {type(pixels).__name__}.")
    got = f"{pixels.dtype} of shape {list(pixels.shape)}"
    if pixels.dtype != np.uint8:
        raise InvalidInput(
            f"Pixels must be {wanted}, values 0 to 255; got {got}. The backbone normalises by itself: "
            "do not scale before."
        )
    if pixels.ndim == 3:
        raise InvalidInput(f"Pixels must be {wanted}; got {got}. For one image use pixels[None].")
    if pixels.ndim != 4 or pixels.shape[3] != 3:
        hint = " Channels come last: pixels.transpose(0, 2, 3, 1)." if pixels.shape[1:2] == (3,) else ""
        raise InvalidInput(f"Pixels must be {wanted}; got {got}.{hint}")
    if pixels.shape[1:3] != (fit.rows, fit.cols):
        raise InvalidInput(
            f"Pixels must be {wanted}; got {got}. featurelens.images.decode.decode(image, fit=backbone.spec.fit) "
            "gives that size."
        )
    return pixels
