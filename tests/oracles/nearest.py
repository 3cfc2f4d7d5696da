"""Nearest neighbours by comparing everything with everything in float64."""

from __future__ import annotations

import numpy as np


def nearest(vectors: np.ndarray, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers and cosines [query, k], best first, equal ones by row number."""
    wide, asked = vectors.astype(np.float64), queries.astype(np.float64)
    wide = wide / np.linalg.norm(wide, axis=1, keepdims=True)
    asked = asked / np.linalg.norm(asked, axis=1, keepdims=True)
    cosines = asked @ wide.T
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(cosines, order, 1)
