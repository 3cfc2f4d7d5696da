"""Which region of one image answers which region of the other."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from featurelens.see.match import Match


@dataclass(frozen=True)
class Line:
    """Region (row, column) of the first image, region of the second, and how strong the bond is (1: the strongest)."""

    first: tuple[int, int]
    second: tuple[int, int]
    strength: float

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return asdict(self)


def strongest(match: Match, count: int) -> list[Line]:
    """Greedy one-to-one pairs by local likeness times what both regions add to the similarity."""
    adds = np.sqrt(np.maximum(match.a, 0))[:, :, None, None] * np.sqrt(np.maximum(match.b, 0))
    bonds = np.maximum(match.alike, 0) * adds
    shape = bonds.shape
    table = bonds.reshape(shape[0] * shape[1], -1).copy()
    found, top = [], float(table.max())
    while len(found) < count and top > 0:
        i, j = divmod(int(table.argmax()), table.shape[1])
        if table[i, j] <= 0.05 * top:
            break
        strength = float(table[i, j]) / top
        found.append(Line(divmod(i, shape[1]), divmod(j, shape[3]), strength))
        table[i], table[:, j] = 0, 0
    return found
