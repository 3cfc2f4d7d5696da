"""Tensors of torch as arrays, without importing torch."""

from __future__ import annotations

import sys
from typing import Any


def as_array(source: Any) -> Any:
    """The values of a tensor as an array on the CPU, of the same shape and, where NumPy has it, type; all else as it is.

    >>> as_array("cat.jpg")
    'cat.jpg'
    """
    tensor = getattr(sys.modules.get("torch"), "Tensor", None)  # who holds one has imported torch
    if tensor is None or not isinstance(source, tensor):
        return source
    plain = source.detach().cpu()
    return (plain.float() if plain.is_floating_point() else plain).numpy()
