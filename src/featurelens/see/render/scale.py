"""The range that a map is drawn in: clipped at a percentile, and never blown up out of nothing."""

from __future__ import annotations

import numpy as np

from featurelens.errors import InvalidInput
from featurelens.shapes import Float


def to_range(
    values: Float[np.ndarray, "*shape"],
    *,
    signed: bool = False,
    percentile: float = 99.5,
    least: float = 0.0,
    peak: float | None = None,
) -> Float[np.ndarray, "*shape"]:
    """Divide by the percentile of the absolute values: 0 … 1 (negative parts cut off), or -1 … 1 if `signed`.

    `least` is the smallest peak that counts as something: below it the map is drawn at that scale, and a map
    of zeros stays zeros. `peak` sets the scale by hand, so that several maps share one. A map whose
    percentile is 0 but which has a few larger values is scaled by the largest.

    >>> to_range(np.array([[0.0, 2.0, -4.0]]), signed=True, percentile=100).tolist()
    [[0.0, 0.5, -1.0]]
    >>> to_range(np.zeros((1, 2))).tolist()
    [[0.0, 0.0]]
    """
    if not 0 < percentile <= 100:
        raise InvalidInput(f"percentile={percentile} must lie above 0 and at most at 100.")
    top = peak_of(values, signed=signed, percentile=percentile) if peak is None else float(peak)
    top = max(top, least)
    if top <= 1e-37:  # nothing, and a division by it would overflow
        return np.where(np.isnan(values), values, 0 * np.nan_to_num(values))
    return np.clip(values / top, -1.0 if signed else 0.0, 1.0)


def peak_of(values: Float[np.ndarray, "*shape"], *, signed: bool = False, percentile: float = 99.5) -> float:
    """The value that is drawn as full colour; 0 for a map of zeros or without any number."""
    finite = values[np.isfinite(values)].astype(np.float64)
    sizes = np.abs(finite) if signed else np.maximum(finite, 0)
    if not sizes.size:
        return 0.0
    return float(np.percentile(sizes, percentile)) or float(sizes.max())
