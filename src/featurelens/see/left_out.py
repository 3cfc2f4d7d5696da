"""What an embedding is without one region, where it is made from a map."""

from __future__ import annotations

import numpy as np

from featurelens.backbone.protocol import Backbone
from featurelens.errors import BackboneError
from featurelens.shapes import Float


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

        Where the embedding is the mean over regions this is, but for its length, what each one adds.
        """
        whole = float(unit(self.whole[image].astype(np.float64)) @ other)
        count = self._maps.shape[2] * self._maps.shape[3]
        lost = whole - unit(self._without(image).astype(np.float64)) @ other
        return (whole / count + lost * (count - 1) / count).reshape(self._maps.shape[2:])

    def _without(self, image: int) -> np.ndarray:
        if image not in self._known:
            flat = self._maps[image].reshape(self._maps.shape[1], -1)
            count = flat.shape[1]
            rest = (flat.sum(1, keepdims=True) - flat) / max(count - 1, 1)
            rows, at = np.repeat(flat[None], count, 0), np.arange(count)
            rows[at, :, at] = rest.T
            assert self._run is not None
            self._known[image] = self._run(rows.reshape(count, *self._maps.shape[1:]))
        return self._known[image]


def unit(rows: Float[np.ndarray, "*batch dim"]) -> Float[np.ndarray, "*batch dim"]:
    """Rows at length one."""
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-30)
