"""What can go wrong while a network learns, told with what to do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch

from featurelens.errors import FeaturelensError


class TrainingDiverged(FeaturelensError):
    """The loss or the gradient is not finite; the last good checkpoint is kept."""


def check_finite(
    value: float,
    what: str,
    epoch: int,
    batch: int,
    optimizer: torch.optim.Optimizer,
    ids: Sequence[str],
    out: Path | None,
) -> None:
    """TrainingDiverged if `value` is not finite: where it happened, at which rate, with which images."""
    if math.isfinite(value):
        return
    rate = max(group["lr"] for group in optimizer.param_groups)
    kept = f"The last good checkpoint is kept in {out}. " if out else ""
    raise TrainingDiverged(
        f"The {what} is {value} in epoch {epoch + 1}, batch {batch + 1} (images {', '.join(ids[:3])}"
        f"{', …' if len(ids) > 3 else ''}), at learning rate {rate:.3g}. {kept}Try a rate ten times lower "
        f"(--lr {rate / 10:.2g}), more warm-up, or clipping (--clip 1); --find-lr shows what the network stands."
    )
