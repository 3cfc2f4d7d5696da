"""The best place of a small map of tokens in a larger one, token by token."""

from __future__ import annotations

import numpy as np


def best_place(tokens: np.ndarray, template: np.ndarray) -> tuple[float, int, int]:
    """(mean cosine, row, column) of the best place; tokens are [row, col, channel]."""
    best = (-np.inf, 0, 0)
    for row in range(tokens.shape[0] - template.shape[0] + 1):
        for col in range(tokens.shape[1] - template.shape[1] + 1):
            cosines = [
                float(tokens[row + i, col + j] @ template[i, j])
                for i in range(template.shape[0])
                for j in range(template.shape[1])
            ]
            best = max(best, (float(np.mean(cosines)), row, col), key=lambda place: place[0])
    return best


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """The common area of two boxes over the area of both together."""
    wide = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    high = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return wide * high / (both - wide * high)
