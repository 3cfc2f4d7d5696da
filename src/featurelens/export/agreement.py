"""How well an exported network agrees with the one it was made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from featurelens.errors import InvalidInput
from featurelens.shapes import Float32

NEIGHBOURS = 5
Embed = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Agreement:
    """Two networks on the same images, over their embeddings.

    difference: largest |a - b| over the largest |a|. cosine: the least of all images. neighbours: the mean
    share of an image's 5 nearest among the others that both name; None for fewer than 20 images, where
    agreeing means little.
    """

    images: int
    difference: float
    cosine: float
    neighbours: float | None

    def __str__(self) -> str:
        near = (
            "" if self.neighbours is None else f", {self.neighbours:.3f} of the 5 nearest neighbours the same"
        )
        return (
            f"on {self.images} images: largest difference {self.difference:.1e} of the largest value, "
            f"least cosine {self.cosine:.6f}{near}"
        )


def agreement(a: Float32[np.ndarray, "image dim"], b: Float32[np.ndarray, "_ _"]) -> Agreement:
    """Compare the embeddings [image, dim] of the same images by the original (a) and the exported network (b).

    Raises InvalidInput for arrays that do not match or are empty.

    >>> rows = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
    >>> agreement(rows, rows).neighbours
    1.0
    """
    if a.shape != b.shape or a.ndim != 2 or not len(a):
        raise InvalidInput(f"Embeddings of shape {a.shape} and {b.shape} cannot be compared, image by image.")
    a, b = a.astype(np.float64), b.astype(np.float64)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosines = (a * b).sum(1) / np.maximum(lengths, 1e-300)
    return Agreement(
        images=len(a),
        difference=float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-300)),
        cosine=float(cosines.min()),
        neighbours=_shared(a, b) if len(a) >= 4 * NEIGHBOURS else None,
    )


def _shared(a: np.ndarray, b: np.ndarray) -> float:
    """The mean share of the nearest neighbours by cosine that both arrays give."""
    found = []
    for rows in (a, b):
        units = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-300)
        likeness = units @ units.T
        np.fill_diagonal(likeness, -np.inf)
        found.append(np.argsort(-likeness, axis=1, kind="stable")[:, :NEIGHBOURS])
    shared = [len(set(x) & set(y)) for x, y in zip(*(f.tolist() for f in found), strict=True)]
    return float(np.mean(shared)) / NEIGHBOURS
