"""A learned dictionary: features as a centre and a few directions each, in NumPy alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featurelens.errors import InvalidInput
from featurelens.shapes import Float, Float32

_CHUNK = 8_192


@dataclass(frozen=True, eq=False)
class Dictionary:
    """A sparse autoencoder whose `active` strongest units speak for a vector (TopK; Gao et al. 2024).

    A vector x becomes relu(encoder (x - centre) / scale + bias), of which the `active` largest stay; from these it is
    made again as centre + scale · (activations decoder). The rows of `decoder` are the concepts' directions, each of
    length one, in the space of x; an activation of 1 is as long as the data spread around their mean (`scale`).

    >>> eye = np.eye(2, dtype=np.float32)
    >>> two = Dictionary(np.zeros(2, np.float32), 1.0, eye, np.zeros(2, np.float32), eye, active=1)
    >>> two.encode(np.array([[0.5, 2.0], [-1.0, -2.0]], np.float32)).tolist()
    [[0.0, 2.0], [0.0, 0.0]]
    """

    centre: Float32[np.ndarray, " dim"]
    scale: float
    encoder: Float32[np.ndarray, "count dim"]
    bias: Float32[np.ndarray, " count"]
    decoder: Float32[np.ndarray, "count dim"]
    active: int

    def __len__(self) -> int:
        return len(self.decoder)

    def encode(self, rows: Float[np.ndarray, "row dim"]) -> Float32[np.ndarray, "row count"]:
        """The activations: at most `active` of each row are above zero. InvalidInput for another width."""
        if rows.ndim != 2 or rows.shape[1] != len(self.centre):
            raise InvalidInput(
                f"The rows have shape {list(rows.shape)}; these concepts were learned from vectors of "
                f"{len(self.centre)} numbers."
            )
        found = np.zeros((len(rows), len(self)), np.float32)
        for start in range(0, len(rows), _CHUNK):
            part = (rows[start : start + _CHUNK].astype(np.float32) - self.centre) / np.float32(self.scale)
            answers = part @ self.encoder.T + self.bias
            kept = np.argpartition(-answers, self.active - 1, axis=1)[:, : self.active]
            values = np.maximum(np.take_along_axis(answers, kept, axis=1), 0)
            np.put_along_axis(found[start : start + _CHUNK], kept, values, axis=1)
        return found

    def decode(self, activations: Float[np.ndarray, "row count"]) -> Float32[np.ndarray, "row dim"]:
        """The vectors that these activations stand for."""
        return (self.centre + self.scale * (activations @ self.decoder)).astype(np.float32)

    def explained(self, rows: Float[np.ndarray, "row dim"]) -> float:
        """R²: the share of the rows' variance that the dictionary makes again; 1 is all of it, 0 their mean's."""
        mean = rows.mean(0, dtype=np.float64)
        left = total = 0.0
        for start in range(0, len(rows), _CHUNK):
            part = rows[start : start + _CHUNK].astype(np.float64)
            left += float(((part - self.decode(self.encode(part))) ** 2).sum())
            total += float(((part - mean) ** 2).sum())
        return 1 - left / max(total, 1e-30)
