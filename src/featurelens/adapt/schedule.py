"""The learning rate over a run: a straight warm-up, then half a cosine (Loshchilov and Hutter 2017)."""

from __future__ import annotations

import math

import torch


def factor(step: int, total: int, *, warmup: float = 0.1) -> float:
    """What the rate is multiplied with at `step` of `total`; `warmup` is the share of steps that rise.

    >>> [round(factor(s, 10, warmup=0.2), 2) for s in (0, 1, 2, 6, 9)]
    [0.5, 1.0, 1.0, 0.5, 0.04]
    """
    rising = round(warmup * total)
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, total - rising)))


def set_rates(optimizer: torch.optim.Optimizer, scale: float) -> None:
    """Write the real rate of this step into every group."""
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * scale
