"""Are the features of all images the same, up to rounding? Then what looks like structure in them is noise."""

from __future__ import annotations

import numpy as np

from featurelens.assess.arrays import blocks, unit
from featurelens.shapes import Float

ROUNDINGS = 32
"""So many units in the last place (relative to the length of a row) count as the same: one photo in batches of
different sizes came out of MobileNetV2 in float32 with a scatter of 11."""
_LOOKED_AT = 1000
COLLAPSED = "the features have collapsed: all images have the same up to rounding"


def collapsed(features: Float[np.ndarray, "n d"], *, rounded: float | None = None) -> bool:
    """Whether the rows scatter around their mean by no more than rounding makes them.

    The root mean square distance from the mean row, over the root mean square length, is compared with
    `ROUNDINGS` times `rounded`, by default `rounding(features)`.

    >>> same = np.ones((50, 8), np.float32) + 1e-7 * np.arange(50, dtype=np.float32)[:, None]
    >>> collapsed(same), collapsed(same + np.eye(50, 8))
    (True, False)
    """
    if len(features) < 2:
        return False
    mean = features.mean(axis=0, dtype=np.float64)
    apart = total = 0.0
    for part in blocks(len(features), 8 * features.shape[1]):
        rows = features[part].astype(np.float64)
        total += float((rows**2).sum())
        apart += float(((rows - mean) ** 2).sum())
    step = rounding(features) if rounded is None else rounded
    return apart <= (ROUNDINGS * step) ** 2 * total


def same_directions(features: Float[np.ndarray, "n d"]) -> bool:
    """Whether the unit rows have collapsed, whatever their lengths: what compares by cosine sees nothing then."""
    return collapsed(unit(features), rounded=rounding(features))


def rounding(features: Float[np.ndarray, "n d"]) -> float:
    """The machine epsilon of the coarsest type, of float16, float32 and float64, that holds the first rows exactly.

    Features that were computed in half precision stay as coarse when they are stored wider. Whole numbers say
    nothing of that: for them it is that of their own type.

    >>> half = np.array([[0.1, 0.2]], np.float16)
    >>> rounding(half.astype(np.float32)) == 2**-10
    True
    """
    some = features[:_LOOKED_AT]
    if not (some == np.rint(some)).all():
        for narrow in (np.float16, np.float32):
            if some.dtype.itemsize > np.dtype(narrow).itemsize:
                with np.errstate(over="ignore", under="ignore"):
                    if (some.astype(narrow) == some).all():
                        return float(np.finfo(narrow).eps)
    return float(np.finfo(features.dtype).eps)
