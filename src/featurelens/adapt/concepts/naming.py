"""Names for concepts, from ordinary words and a backbone that knows both words and images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from featurelens.shapes import Float, Float32, Int64

_DRAWS, _RISK = 200, 0.05


@dataclass(frozen=True, eq=False)
class Words:
    """Words that may name a concept, and their vectors of length one in the space of the images'."""

    texts: tuple[str, ...]
    vectors: Float32[np.ndarray, "word dim"]


def suggested(
    best: Int64[np.ndarray, "count top"],
    vectors: Float32[np.ndarray, "image dim"],
    words: Words | None,
) -> list[str | None]:
    """For each concept the word that its exemplars have most more of than other images do, or None.

    What sets the exemplars apart, mean(exemplars) - mean(all), is measured along each word's vector less the mean of
    all words (so where texts lie as a whole does not count). A word counts only where it reaches farther than the best
    word does in 95 of 100 sets of as many images drawn at random. `best`: rows of `vectors`, -1 for none.
    """
    if words is None or len(words.texts) < 2:
        return [None] * len(best)
    apart = vectors - vectors.mean(0)
    meant = _units(words.vectors - words.vectors.mean(0))
    random = np.random.default_rng(0)
    lines: dict[int, float] = {}
    found: list[str | None] = []
    for rows in best:
        rows = rows[rows >= 0]
        if len(rows) < 2:
            found.append(None)  # one image has many things on it
            continue
        if len(rows) not in lines:
            drawn = [random.choice(len(apart), len(rows), replace=False) for _ in range(_DRAWS)]
            chance = np.stack([apart[some].mean(0) for some in drawn]) @ meant.T
            lines[len(rows)] = float(np.quantile(chance.max(1), 1 - _RISK))
        reach = meant @ apart[rows].mean(0)
        word = int(reach.argmax())
        found.append(words.texts[word] if reach[word] > lines[len(rows)] else None)
    return found


def plain_words(texts: Sequence[str], vectors: Float[np.ndarray, "word dim"]) -> Words:
    """Words whose vectors may have any length."""
    return Words(tuple(texts), _units(vectors).astype(np.float32))


def _units(vectors: Float[np.ndarray, "row dim"]) -> Float[np.ndarray, "row dim"]:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
