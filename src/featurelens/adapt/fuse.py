"""Closed-form learning: projections that forget what differs inside a pair."""

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
    largest spread that remains are kept. Wide rows are first reduced to their principal components.
    """
    mean = torch.cat((a, b)).double().mean(0)
    first, second = a.double() - mean, b.double() - mean
    narrow = _principal(torch.cat((first, second)))
    centred = torch.cat((first, second)) @ narrow
    gap = (first - second) @ narrow / 2**0.5
    within = gap.mT @ gap / len(gap)
    within = within + shrink * (within.diagonal().mean() * torch.eye(len(within), dtype=within.dtype))
    values, vectors = torch.linalg.eigh(within)
    whiten = (vectors * values.clamp(min=1e-12) ** -power) @ vectors.mT
    spread = whiten @ (centred.mT @ centred / len(centred)) @ whiten
    _, axes = torch.linalg.eigh(spread)
    return mean.float(), (narrow @ whiten @ axes.flip(1)[:, :dim]).float()


def _principal(rows: Float[Tensor, "row value"], most: int = 1536) -> Float[Tensor, "value axis"]:
    """The directions of largest spread of centred rows, `most` at most; all directions of rows that are no wider."""
    width = rows.shape[1]
    if width <= most:
        return torch.eye(width, dtype=rows.dtype)
    if len(rows) < width:
        axes = rows.mT @ torch.linalg.eigh(rows @ rows.mT)[1].flip(1)[:, : min(most, len(rows) - 1)]
        return axes / axes.norm(dim=0).clamp(min=1e-12)
    return torch.linalg.eigh(rows.mT @ rows)[1].flip(1)[:, :most]
