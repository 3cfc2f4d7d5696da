"""Running out of memory, told in words that help."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from featurelens.errors import FeaturelensError

_SAID = ("out of memory", "not enough memory", "can't allocate memory")


class OutOfMemory(FeaturelensError):
    """The device's memory does not hold a batch; the text suggests a batch size."""


@contextmanager
def enough_memory(batch: int, advice: str) -> Iterator[None]:
    """Turn an allocation that fails inside into OutOfMemory, which names the batch and gives the advice.

    >>> with enough_memory(64, "Try 32."):
    ...     torch.zeros(3).sum()
    tensor(0.)
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:  # on the CPU torch raises a plain RuntimeError
        known = isinstance(error, torch.OutOfMemoryError | MemoryError)
        if not known and not any(said in str(error).lower() for said in _SAID):
            raise
        raise OutOfMemory(f"There is not enough memory for a batch of {batch} images. {advice}") from error


def smaller_batch(batch_size: int, accumulate: int | None) -> str:
    """What to give for about half the memory, so that each step still sees as many images (None: it cannot accumulate).

    >>> smaller_batch(32, 1).split(":")[0]
    'Give --batch-size 16 --accumulate 2'
    """
    if accumulate is None:
        least = "" if batch_size > 3 else " Or give a smaller network, or --depth features."
        return f"Give --batch-size {max(2, batch_size // 2)}: it needs about half the memory.{least}"
    if batch_size == 1:
        return "Even one image is too much: give a smaller network, or the plan 'frozen' or 'last' with fewer stages."
    return (
        f"Give --batch-size {batch_size // 2} --accumulate {accumulate * 2}: it needs about half the memory and "
        "each step still sees as many images."
    )
