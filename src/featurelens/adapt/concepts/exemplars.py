"""Which images fire each concept, how often and how strongly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from featurelens.adapt.concepts.dictionary import Dictionary
from featurelens.adapt.concepts.found import Concept, Exemplar
from featurelens.shapes import Bool, Float32, Float64, Int64

_CHUNK = 64  # images whose activations at all places are held at a time


@dataclass(frozen=True, eq=False)
class Answers:
    """Per concept: share of images in which it fires, mean of the firing images' strongest, the best images.

    `best` are positions among the images, strongest first, -1 where fewer fire; `fires` tells in which images; `fired`
    is the mean number of concepts above zero for one vector.
    """

    frequency: Float64[np.ndarray, " count"]
    strength: Float64[np.ndarray, " count"]
    best: Int64[np.ndarray, "count top"]
    value: Float32[np.ndarray, "count top"]
    fires: Bool[np.ndarray, "image count"]
    fired: float


def answers_of(
    dictionary: Dictionary, tokens: Float32[np.ndarray, "image grid_row grid_col dim"], top: int
) -> Answers:
    """One pass over all places of all images; an image answers as strongly as its strongest place does."""
    each = np.empty((len(tokens), len(dictionary)), np.float32)
    above = 0
    for start in range(0, len(tokens), _CHUNK):
        part = tokens[start : start + _CHUNK]
        found = dictionary.encode(part.reshape(-1, part.shape[-1]))
        above += int((found > 0).sum())
        each[start : start + len(part)] = found.reshape(len(part), -1, len(dictionary)).max(1)
    fires = each > 0
    counts = fires.sum(0)
    order = np.argsort(-each, axis=0, kind="stable")[:top].T
    value = np.take_along_axis(each, order.T, axis=0).T
    best = np.where(value > 0, order, -1)
    strength = each.sum(0, dtype=np.float64) / np.maximum(counts, 1)
    vectors = len(tokens) * tokens.shape[1] * tokens.shape[2]
    return Answers(counts / len(tokens), strength, best.astype(np.int64), value, fires, above / vectors)


def told(
    dictionary: Dictionary,
    tokens: Float32[np.ndarray, "image grid_row grid_col dim"],
    answers: Answers,
    *,
    images: Sequence[str],
    labels: Sequence[str] | None,
    names: Sequence[str | None],
) -> tuple[Concept, ...]:
    """The answers in words: each concept with its exemplars, and of patches the places where it fires in them."""
    placed = tokens.shape[1] * tokens.shape[2] > 1
    concepts = []
    for number, (best, values) in enumerate(zip(answers.best, answers.value, strict=True)):
        rows = [int(row) for row in best if row >= 0]
        maps: list[np.ndarray | None] = [None] * len(rows)
        if placed and rows:
            some = tokens[rows]
            found = dictionary.encode(some.reshape(-1, some.shape[-1]))[:, number]
            maps = list(found.reshape(some.shape[:3]))
        exemplars = tuple(
            Exemplar(images[row], float(value), labels[row] if labels else "", where)
            for row, value, where in zip(rows, values, maps, strict=False)
        )
        frequency, strength = float(answers.frequency[number]), float(answers.strength[number])
        concepts.append(Concept(number, frequency, strength, exemplars, names[number]))
    return tuple(concepts)
