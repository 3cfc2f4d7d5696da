"""A layer by its name, or an error that lists the names which come close."""

from __future__ import annotations

from difflib import get_close_matches

from torch import nn

from featurelens.errors import LayerError


def find_layer(module: nn.Module, name: str) -> tuple[str, int | None]:
    """The layer's own name and, for "name@k", the number of its call; LayerError for an unknown layer.

    >>> find_layer(nn.Sequential(nn.ReLU()), "0@2")
    ('0', 2)
    """
    if _is_part(module, name):
        return name, None
    layer, at, call = name.rpartition("@")
    if at and call.isdecimal() and _is_part(module, layer):
        return layer, int(call)
    known = dict(module.named_modules(remove_duplicate=False))
    close = get_close_matches(layer if at else name, known, n=5, cutoff=0.4)
    tail = f"Close matches: {', '.join(close)}." if close else f"Its {len(known)} layers have other names."
    raise LayerError(
        f"{type(module).__name__} has no layer '{name}'. {tail} 'featurelens layers' (in Python: "
        "`layers(module, sample)`) lists them all."
    )


def _is_part(module: nn.Module, name: str) -> bool:
    part: nn.Module | None = module
    for step in name.split(".") if name else ():
        part = part._modules.get(step)
        if part is None:
            return False
    return True
