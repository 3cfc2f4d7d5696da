"""How well a classifier does on images that it did not learn from."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from featurelens.shapes import Float, Int64


@dataclass(frozen=True, eq=False)
class Scores:
    """Accuracy with its 95 % interval (Wilson 1927), mean recall over the classes, and the confusion matrix.

    `confusion` [true, said] counts images. `chance` is what always saying the largest class would give.
    """

    accuracy: float
    interval: tuple[float, float]
    n: int
    mean_recall: float
    loss: float
    chance: float
    confusion: Int64[np.ndarray, "target target"]

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return asdict(self) | {"confusion": self.confusion.tolist(), "interval": list(self.interval)}


def score(logits: Float[np.ndarray, "row target"], codes: Int64[np.ndarray, " row"]) -> Scores | None:
    """The figures of class scores against class numbers; None without images.

    >>> score(np.array([[2.0, 0.0], [0.0, 2.0]]), np.array([0, 1])).accuracy
    1.0
    """
    n, classes = logits.shape
    if not n:
        return None
    said = logits.argmax(1)
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (codes, said), 1)
    counts = confusion.sum(1)
    known = counts > 0
    shifted = logits - logits.max(1, keepdims=True)
    chances = shifted[np.arange(n), codes] - np.log(np.exp(shifted).sum(1))
    right = float(np.trace(confusion)) / n
    return Scores(
        accuracy=right,
        interval=wilson(right, n),
        n=n,
        mean_recall=float((np.diag(confusion)[known] / counts[known]).mean()),
        loss=float(-chances.mean()),
        chance=float(counts.max()) / n,
        confusion=confusion,
    )


def wilson(share: float, n: int) -> tuple[float, float]:
    """The 95 % interval of a share of n.

    >>> [round(x, 3) for x in wilson(0.8, 200)]
    [0.739, 0.85]
    """
    z = 1.959964
    middle, spread = share + z * z / (2 * n), z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (middle - spread) / (1 + z * z / n), (middle + spread) / (1 + z * z / n)
