"""CORAL: the target's features whitened and coloured like the source's, as one affine map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featurelens.errors import InvalidInput
from featurelens.shapes import Float, Float32, Float64


@dataclass(frozen=True, eq=False)
class Affine:
    """rows @ matrix + shift."""

    matrix: Float32[np.ndarray, "dim dim"]
    shift: Float32[np.ndarray, "dim"]

    def __call__(self, rows: Float[np.ndarray, "n dim"]) -> Float32[np.ndarray, "n dim"]:
        return (rows.astype(np.float32) @ self.matrix + self.shift).astype(np.float32)


def identity(dim: int) -> Affine:
    """The map that changes nothing."""
    return Affine(np.eye(dim, dtype=np.float32), np.zeros(dim, np.float32))


def recolouring(
    given: Float[np.ndarray, "n dim"], wanted: Float[np.ndarray, "m dim"], *, shrink: float = 1.0
) -> Affine:
    """The map that gives rows like `given` the mean and covariance of `wanted` (CORAL, Sun, Feng & Saenko 2016).

    C₁^(−1/2) C₂^(1/2), between centred rows; `shrink` times its mean variance is added to the diagonal of each
    covariance. The paper adds 1 to features of unit variance; without it few images would decide on many directions.
    Raises InvalidInput for fewer than two rows a side, rows that do not vary, or a `shrink` below 0.

    >>> random = np.random.default_rng(0)
    >>> a, b = random.normal(size=(500, 2)), random.normal(size=(500, 2)) @ np.array([[2.0, 1.0], [0.0, 1.0]]) + 3
    >>> bool(np.allclose(np.cov(recolouring(a, b, shrink=0.0)(a).T), np.cov(b.T), atol=1e-3))
    True
    """
    if not shrink >= 0:
        raise InvalidInput(f"shrink is {shrink}; it must be 0 or more.")
    sides = [rows.astype(np.float64) for rows in (given, wanted)]
    if min(map(len, sides)) < 2 or any(not np.ptp(rows, axis=0).any() for rows in sides):
        raise InvalidInput(
            f"Recolouring needs two different rows or more on each side; there are {len(given)} and {len(wanted)}."
        )
    (mean, first), (goal, second) = (_moments(rows, shrink) for rows in sides)
    matrix = _power(first, -0.5) @ _power(second, 0.5)
    return Affine(matrix.astype(np.float32), (goal - mean @ matrix).astype(np.float32))


def _moments(
    rows: Float64[np.ndarray, "n dim"], shrink: float
) -> tuple[Float64[np.ndarray, "dim"], Float64[np.ndarray, "dim dim"]]:
    mean = rows.mean(0)
    covariance = (rows - mean).T @ (rows - mean) / (len(rows) - 1)
    own = np.trace(covariance) / len(covariance)
    return mean, covariance + shrink * own * np.eye(len(covariance))


def _power(matrix: Float64[np.ndarray, "dim dim"], exponent: float) -> Float64[np.ndarray, "dim dim"]:
    """Of a symmetric matrix; directions without variance stay as they are."""
    values, vectors = np.linalg.eigh(matrix)
    kept = values > values.max() * 1e-10
    powered = np.where(kept, np.where(kept, values, 1.0) ** exponent, 0.0)
    return (vectors * powered) @ vectors.T
