"""Histograms of many units at once, in one pass, without knowing the range beforehand."""

from __future__ import annotations

import numpy as np

from featurelens.shapes import Float, Float64, Int64


class Tally:
    """Counts values [batch, unit] in `bins` equal bins for each unit; the range doubles where a value falls out.

    `low` and `high` are each unit's borders, `counts` [unit, bin]; `mean` and `deviation` are exact. What is not
    finite is left out and counted in `dropped`.

    >>> tally = Tally(bins=4)
    >>> tally.add(np.array([[0.0], [1.0], [2.0], [4.0]]))
    >>> tally.counts.tolist(), float(tally.high[0])
    ([[1, 1, 1, 1]], 4.0)
    """

    def __init__(self, *, bins: int = 32) -> None:
        self._bins = bins + bins % 2
        self.total = 0
        self.low = self.high = np.empty(0)
        self.least = self.most = np.empty(0)
        self.counts: Int64[np.ndarray, "unit bin"] = np.empty((0, self._bins), np.int64)
        self.dropped = np.empty(0, np.int64)
        self._sum = self._squares = np.empty(0)

    def add(self, values: Float[np.ndarray, "batch unit"]) -> None:
        """Count one batch."""
        values = values.astype(np.float64)
        fine = np.isfinite(values)
        if not self.total:
            self._begin(np.where(fine, values, 0.0))
        least, most = (np.where(fine, values, bound) for bound in (np.inf, -np.inf))
        self.least, self.most = np.minimum(self.least, least.min(0)), np.maximum(self.most, most.max(0))
        self._widen()
        width = (self.high - self.low) / self._bins
        bins = np.clip((np.where(fine, values, self.low) - self.low) / width, 0, self._bins - 1).astype(
            np.int64
        )
        flat = bins + np.arange(values.shape[1]) * self._bins
        counted = np.bincount(flat[fine], minlength=self.counts.size)
        self.counts += counted.reshape(self.counts.shape)
        kept = np.where(fine, values - self.shift, 0.0)
        self._sum += kept.sum(0)
        self._squares += (kept**2).sum(0)
        self.dropped += (~fine).sum(0)
        self.total += len(values)

    @property
    def mean(self) -> Float64[np.ndarray, " unit"]:
        """The mean of each unit's values."""
        return self.shift + self._sum / np.maximum(self.total - self.dropped, 1)

    @property
    def deviation(self) -> Float64[np.ndarray, " unit"]:
        """The standard deviation of each unit's values."""
        count = np.maximum(self.total - self.dropped, 1)
        return np.sqrt(np.maximum(self._squares / count - (self._sum / count) ** 2, 0))

    def _begin(self, values: np.ndarray) -> None:
        units = values.shape[1]
        self.low, self.high = values.min(0), values.max(0)
        flat = self.high <= self.low
        self.high = np.where(flat, self.low + np.maximum(np.abs(self.low), 1.0) * 1e-3, self.high)
        self.least, self.most = np.full(units, np.inf), np.full(units, -np.inf)
        self.counts = np.zeros((units, self._bins), np.int64)
        self.dropped = np.zeros(units, np.int64)
        self.shift = values.mean(0)  # sums of small numbers: the variance does not drown
        self._sum, self._squares = np.zeros(units), np.zeros(units)

    def _widen(self) -> None:
        """Merge bins in pairs, upwards or downwards, until every value has its bin."""
        while True:
            up, down = self.most > self.high, self.least < self.low
            if not (up.any() or down.any()):
                return
            grown = up | down
            pairs = self.counts[grown].reshape(-1, self._bins // 2, 2).sum(2)
            empty = np.zeros_like(pairs)
            rising = up[grown][:, None]
            self.counts[grown] = np.where(
                rising, np.concatenate([pairs, empty], 1), np.concatenate([empty, pairs], 1)
            )
            span = self.high - self.low
            self.high = np.where(up, self.low + 2 * span, self.high)
            self.low = np.where(down & ~up, self.high - 2 * span, self.low)
