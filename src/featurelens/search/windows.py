"""A small map of tokens compared with a larger one, token by token, at every place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featurelens.shapes import Float, Float32


@dataclass(frozen=True, eq=False)
class Scaling:
    """What is taken from every channel before tokens are compared, so that no channel drowns the others."""

    mean: Float32[np.ndarray, " channel"]
    spread: Float32[np.ndarray, " channel"]

    def units(
        self, maps: Float[np.ndarray, "*batch channel row col"]
    ) -> Float32[np.ndarray, "*batch row col channel"]:
        """Standardised tokens of length one."""
        tokens = np.moveaxis(maps, -3, -1).astype(np.float32)
        tokens = (tokens - self.mean) / self.spread
        return tokens / np.maximum(np.linalg.norm(tokens, axis=-1, keepdims=True), 1e-6)


def scaling(maps: list[Float[np.ndarray, "_ channel row col"]]) -> Scaling:
    """Mean and spread of every channel over the tokens of many maps."""
    total = squares = count = 0.0
    for some in maps:
        wide = some.astype(np.float32)
        total = total + wide.sum((0, 2, 3), dtype=np.float64)
        squares = squares + (wide * wide).sum((0, 2, 3), dtype=np.float64)
        count += wide.shape[0] * wide.shape[2] * wide.shape[3]
    mean = np.asarray(total / max(count, 1))
    spread = np.sqrt(np.maximum(np.asarray(squares / max(count, 1)) - mean**2, 0))
    least = 1e-3 * float(spread.max(initial=1e-30))
    return Scaling(mean.astype(np.float32), np.maximum(spread, max(least, 1e-30)).astype(np.float32))


def window_scores(
    tokens: Float32[np.ndarray, "row col channel"], template: Float32[np.ndarray, "part_row part_col channel"]
) -> Float32[np.ndarray, "place_row place_col"]:
    """How well the template agrees with the tokens at every place: the mean of their cosines, 1 at most."""
    rows, cols, channels = tokens.shape
    high, wide = template.shape[:2]
    alike = template.reshape(-1, channels) @ tokens.reshape(-1, channels).T
    alike = alike.reshape(high, wide, rows, cols)
    scores = np.zeros((rows - high + 1, cols - wide + 1), np.float32)
    for row in range(high):
        for col in range(wide):
            scores += alike[row, col, row : row + scores.shape[0], col : col + scores.shape[1]]
    return scores / np.float32(high * wide)
