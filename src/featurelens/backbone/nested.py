"""Tensors inside the tuples, lists and dictionaries that layers return."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor


def tensors(output: Any) -> list[Tensor]:
    """All tensors in a nested output, in order."""
    if isinstance(output, Tensor):
        return [output]
    if isinstance(output, Mapping):
        output = list(output.values())
    if isinstance(output, list | tuple):
        return [tensor for item in output for tensor in tensors(item)]
    return []


def map_tensors(change: Callable[[Tensor], Tensor], output: Any) -> Any:
    """The same structure with each tensor changed; whatever else is in it stays the same object.

    >>> map_tensors(lambda t: t, (1, "two"))
    (1, 'two')
    """
    if isinstance(output, Tensor):
        return change(output)
    if not tensors(output):
        return output
    if isinstance(output, Mapping):
        changed = {key: map_tensors(change, value) for key, value in output.items()}
        return changed if type(output) is dict else type(output)(**changed)
    items = [map_tensors(change, item) for item in output]
    return type(output)(*items) if hasattr(output, "_fields") else type(output)(items)
