"""In images of which labels a concept fires, and how far its exemplars agree beside chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from featurelens.shapes import Bool, Int64

if TYPE_CHECKING:
    from featurelens.adapt.concepts.found import Concept

_DRAWS = 1_000


@dataclass(frozen=True, eq=False)
class Labelled:
    """Of how many `images` of each label a concept `fires` in how many; the name "" stands for those without one."""

    names: tuple[str, ...]
    images: Int64[np.ndarray, " label"]
    fires: Int64[np.ndarray, "count label"]

    def of(self, number: int) -> list[tuple[str, int, int]]:
        """(label, images in which the concept fires, images), the largest share first; only images with a label."""
        each = zip(self.names, self.fires[number].tolist(), self.images.tolist(), strict=True)
        return sorted((one for one in each if one[0]), key=lambda one: (-one[1] / one[2], -one[2], one[0]))

    def chance(self, drawn: int) -> float:
        """The largest share that one label has, on average, among so many images drawn at random."""
        drawn = min(drawn, int(self.images.sum()))
        random = np.random.default_rng(0)
        found = random.multivariate_hypergeometric(self.images, drawn, size=_DRAWS)
        named = [i for i, name in enumerate(self.names) if name]
        return float(found[:, named].max(1).mean()) / drawn


@dataclass(frozen=True)
class Purity:
    """`count` of the `of` exemplars have this label; `chance` is the share that images drawn at random would reach."""

    label: str
    count: int
    of: int
    chance: float


def labelled(fires: Bool[np.ndarray, "image count"], labels: Sequence[str] | None) -> Labelled | None:
    """Count them; None where no image has a label."""
    if labels is None or not any(labels):
        return None
    names, of = np.unique(np.array(labels, str), return_inverse=True)
    found = np.zeros((fires.shape[1], len(names)), np.int64)
    for label in range(len(names)):
        found[:, label] = fires[of == label].sum(0)
    return Labelled(tuple(names.tolist()), np.bincount(of, minlength=len(names)).astype(np.int64), found)


def purity(concept: Concept, among: Labelled | None) -> Purity | None:
    """How far the exemplars have one label; None without labels or exemplars."""
    counts = Counter(one.label for one in concept.exemplars if one.label)
    if among is None or not counts:
        return None
    label, count = counts.most_common(1)[0]
    return Purity(label, count, len(concept.exemplars), among.chance(len(concept.exemplars)))
