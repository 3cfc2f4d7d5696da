"""What can go wrong while a network learns, told with what to do."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from featurelens.errors import FeaturelensError


class TrainingDiverged(FeaturelensError):
    """The loss or the gradient is not finite; the last good checkpoint is kept."""


class OutOfMemory(FeaturelensError):
    """The device's memory does not hold a batch; the text suggests a batch size."""


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


@contextmanager
def memory_told(batch_size: int, accumulate: int) -> Iterator[None]:
    """Turn a failed allocation into OutOfMemory with a smaller batch that learns the same."""
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError, RuntimeError) as error:
        text = str(error).lower()
        failed = isinstance(error, MemoryError | torch.OutOfMemoryError) or (
            "memory" in text and "alloc" in text
        )
        if not failed:
            raise
        half = max(1, batch_size // 2)
        advice = (
            f"Give --batch-size {half} --accumulate {accumulate * 2}: it needs about half the memory and each step "
            "still sees as many images"
            if batch_size > 1
            else "Even one image is too much: give a smaller network, or the plan 'frozen' or 'last' with fewer stages"
        )
        raise OutOfMemory(
            f"There is not enough memory for a batch of {batch_size} images. {advice}."
        ) from error
