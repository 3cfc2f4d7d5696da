"""Chance that belongs to a run: decided by its seed and its place in it, so that it can be stopped anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def seed_of(*numbers: int) -> int:
    """One seed out of several numbers (all 0 or more), such as a run's seed and its step.

    >>> seed_of(0, 1) == seed_of(0, 1) != seed_of(1, 0)
    True
    """
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint32)[0])


@contextmanager
def own_chance(device: torch.device | str) -> Iterator[None]:
    """torch's random state is the caller's again afterwards."""
    device = torch.device(device)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield
