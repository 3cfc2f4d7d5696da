"""What an embedding is without one region, where it is made from a map."""

from __future__ import annotations

import numpy as np

from featurelens.backbone.protocol import Backbone
from featurelens.errors import BackboneError
from featurelens.shapes import Float

_FINE = 64  # cells; of a map of so many, four neighbours are left out together: a quarter of the work, and they say alike


class Head:
    """The embeddings of images that lack one region each, where the embedding is made from the map."""

    def __init__(self, backbone: Backbone, maps: np.ndarray) -> None:
        self._run = getattr(backbone, "head", None)
        self._maps, self._known, self.decides = maps, {}, False
        if self._run is not None:
            try:
                self.whole = self._run(maps)
                self.decides = bool(np.abs(self._run(maps[:1] * 0.5) - self.whole[:1]).max() > 0)
            except BackboneError:  # there is more to the embedding than the map
                return
            self.decides = self.decides or bool(np.abs(self._without(0) - self.whole[0]).max() > 0)

    def shares(self, image: int, other: np.ndarray) -> np.ndarray:
        """The even share of each region, plus what the cosine to `other` loses without it: [row, col].

        Where the embedding is the mean over regions this is, but for its length, what each one adds. A region is a cell
        of the map; of a map of 8 × 8 or more it is 2 × 2 cells, which then have equal shares.
        """
        whole = float(unit(self.whole[image].astype(np.float64)) @ other)
        lost = whole - unit(self._without(image).astype(np.float64)) @ other
        side, count = self._side(), len(lost)
        rows, cols = self._maps.shape[2:]
        regions = (whole / count + lost * (count - 1) / count).reshape(rows // side, cols // side)
        return np.kron(regions, np.full((side, side), 1 / side**2))

    def _side(self) -> int:
        rows, cols = self._maps.shape[2:]
        return 2 if rows * cols >= _FINE and rows % 2 == cols % 2 == 0 else 1

    def _without(self, image: int) -> np.ndarray:
        if image not in self._known:
            one, side = self._maps[image], self._side()
            channels, rows, cols = one.shape
            sums = one.reshape(channels, rows // side, side, cols // side, side).sum((2, 4))
            rest = (sums.sum((1, 2), keepdims=True) - sums) / max(rows * cols - side**2, 1)
            lacking = np.repeat(one[None], rest[0].size, axis=0)
            for k, (row, col) in enumerate(np.ndindex(rest.shape[1:])):
                region = np.s_[:, row * side : (row + 1) * side, col * side : (col + 1) * side]
                lacking[k][region] = rest[:, row, col, None, None]
            assert self._run is not None
            self._known[image] = self._run(lacking)
        return self._known[image]


def unit(rows: Float[np.ndarray, "*batch dim"]) -> Float[np.ndarray, "*batch dim"]:
    """Rows at length one."""
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-30)
