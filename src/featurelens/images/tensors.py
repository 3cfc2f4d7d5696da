"""Tensors of torch as arrays, without importing torch."""

from __future__ import annotations

import sys
from typing import Any

from featurelens.errors import InvalidInput


def as_array(source: Any) -> Any:
    """The values of a tensor as an array on the CPU, of the same shape and, where NumPy has it, type; all else as it is.

    Sparse ones are filled up. InvalidInput for a tensor without values (on the device meta), or of a kind that NumPy lacks.

    >>> as_array("cat.jpg")
    'cat.jpg'
    """
    tensor = getattr(sys.modules.get("torch"), "Tensor", None)  # who holds one has imported torch
    if tensor is None or not isinstance(source, tensor):
        return source
    try:
        plain = source.detach().cpu()
        if str(plain.layout) != "torch.strided":
            plain = plain.to_dense()
        return (plain.float() if plain.is_floating_point() else plain).numpy()
    except (RuntimeError, TypeError) as error:
        raise InvalidInput(
            f"A tensor ({source.dtype}, {source.layout}, on {source.device}) cannot be read: "
            f"{str(error).splitlines()[0].rstrip('.!')}. Give an ordinary one that holds its values, or an array."
        ) from error
