"""Running out of memory, told in words that help."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from featurelens.errors import InvalidInput

_SAID = ("out of memory", "not enough memory", "can't allocate memory")


@contextmanager
def enough_memory(batch: int, *, name: str = "pairs per step in phases") -> Iterator[None]:
    """InvalidInput with a smaller `batch` to try, where torch finds no memory for this one.

    >>> with enough_memory(64):
    ...     torch.zeros(3).sum()
    tensor(0.)
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:  # on the CPU torch raises a plain RuntimeError
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and not any(
            said in str(error) for said in _SAID
        ):
            raise
        raise InvalidInput(
            f"There is too little memory for a batch of {batch}. Try {max(2, batch // 2)} ({name}); "
            "what was saved before is kept."
        ) from error
