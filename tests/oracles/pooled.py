"""Pooling once more, one position after the other."""

from __future__ import annotations

import math

import numpy as np


def pooled(maps: np.ndarray, how: str) -> np.ndarray:
    """[batch, channel, row, col] → [batch, channel] (flatten: all numbers), with plain loops."""
    if how == "flatten":
        return np.array([[x for plane in image for row in plane for x in row] for image in maps])
    result = []
    for image in maps.tolist():
        line = []
        for plane in image:
            values = [x for row in plane for x in row]
            if how == "avg":
                line.append(math.fsum(values) / len(values))
            elif how == "max":
                line.append(max(values))
            else:
                line.append((math.fsum(max(x, 1e-6) ** 3 for x in values) / len(values)) ** (1 / 3))
        result.append(line)
    return np.array(result)
