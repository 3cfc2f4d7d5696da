"""Memory that a training step frees is kept for the next step, and goes back to the system when training ends."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

# The options of mallopt(3), and what they are put back to: the highest values that glibc itself comes to, step by
# step, in a process that frees large blocks (a value that was set ends those steps, so its first ones would be low).
TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4
AFTERWARDS = {TRIM_THRESHOLD: 64 << 20, MMAP_THRESHOLD: 32 << 20, MMAP_MAX: 65536}


@contextmanager
def kept_memory(device: torch.device | str) -> Iterator[bool]:
    """Inside, on the CPU and with glibc, freed memory stays with the process; yields whether it does.

    By itself glibc gives every large tensor back to the system and asks for it again, page by page, each of
    them cleared: a tenth of a training step. What is computed is the same. The process gets larger by about a fifth,
    in the first steps, and then no more. Afterwards all that is free goes back.

    >>> with kept_memory("cpu"):
    ...     torch.zeros(3).sum()
    tensor(0.)
    """
    libc = _glibc() if torch.device(device).type == "cpu" else None
    if libc is None:
        yield False
        return
    libc.mallopt(MMAP_MAX, 0)  # large blocks from the heap too, not each from the system
    libc.mallopt(TRIM_THRESHOLD, 2**31 - 1)  # and the heap's end is not cut off
    try:
        yield True
    finally:
        for option, value in AFTERWARDS.items():
            libc.mallopt(option, value)
        libc.malloc_trim(0)


def _glibc() -> Any | None:
    """The C library where it is glibc (Linux, but not musl), else None."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "gnu_get_libc_version") and hasattr(libc, "mallopt") else None
