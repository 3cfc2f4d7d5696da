"""Closed-form learning on top of a map: codebooks and projections that forget what differs inside a pair."""

from __future__ import annotations

import torch
from torch import Tensor

from featurelens.shapes import Float


def discriminant(
    a: Float[Tensor, "pair value"],
    b: Float[Tensor, "pair value"],
    dim: int,
    *,
    shrink: float = 0.1,
    power: float = 0.5,
) -> tuple[Float[Tensor, "value"], Float[Tensor, "value dim"]]:
    """Mean and projection (linear discriminant analysis; within-class covariance normalisation, Hatch 2006).

    Differences inside a pair are nuisance: directions are divided by their spread there (to `power` × 2; .5
    is full whitening), after shrinking it towards the total covariance's mean. The `dim` directions of the
    largest spread that remains are kept.
    """
    both = torch.cat((a, b)).double()
    mean = both.mean(0)
    centred, gap = both - mean, (a - b).double() / 2**0.5
    within = gap.mT @ gap / len(gap)
    within = within + shrink * (within.diagonal().mean() * torch.eye(len(within), dtype=within.dtype))
    values, vectors = torch.linalg.eigh(within)
    whiten = (vectors * values.clamp(min=1e-12) ** -power) @ vectors.mT
    spread = whiten @ (centred.mT @ centred / len(centred)) @ whiten
    _, axes = torch.linalg.eigh(spread)
    return mean.float(), (whiten @ axes.flip(1)[:, :dim]).float()


def codebook(
    vectors: Float[Tensor, "row value"], count: int, source: torch.Generator, *, rounds: int = 15
) -> Tensor:
    """Spherical k-means: `count` unit vectors."""
    order = torch.randperm(len(vectors), generator=source)
    centres = torch.nn.functional.normalize(vectors[order[:count]], dim=1)
    for _ in range(rounds):
        nearest = (vectors @ centres.mT).argmax(1)
        sums = torch.zeros_like(centres).index_add_(0, nearest, vectors)
        empty = torch.bincount(nearest, minlength=count) == 0
        sums[empty] = vectors[order[: int(empty.sum())]]
        centres = torch.nn.functional.normalize(sums, dim=1)
    return centres
