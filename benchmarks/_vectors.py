"""Clustered unit vectors, and a stand-in backbone for galleries whose vectors are given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featurelens.backbone.protocol import Spec


def clustered(count: int, dim: int, *, clusters: int, seed: int, spread: float = 0.5) -> np.ndarray:
    """float32 [count, dim] of length one around random centres (cosine within a cluster: about 0.8)."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(dim).normal(size=(clusters, dim)).astype(np.float32)
    rows = np.empty((count, dim), np.float32)
    for start in range(0, count, 65536):
        block = rows[start : start + 65536]
        rng.standard_normal(out=block, dtype=np.float32)
        block *= spread
        block += centres[rng.integers(0, clusters, len(block))]
        block /= np.linalg.norm(block, axis=1, keepdims=True)
    return rows


@dataclass(frozen=True)
class Given:
    """A backbone that embeds nothing: the vectors come from elsewhere."""

    spec: Spec
    streams: int = 1

    def embed(self, pixels: np.ndarray) -> np.ndarray:
        raise ValueError("this benchmark gives its vectors")

    def maps(self, pixels: np.ndarray) -> np.ndarray:
        raise ValueError("this benchmark gives its vectors")


def given_backbone(dim: int) -> Given:
    """The stand-in for vectors of `dim` numbers."""
    return Given(Spec("given", weights="none", dim=dim))
