"""Weights to and from timm's and torchvision's version of a block: the same numbers under other names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from featurelens.errors import InvalidInput

Rules = Sequence[tuple[str, str]]
"""Pattern and replacement; the first pattern that is found in one of our names turns it into theirs."""


def load_from(module: Any, other: nn.Module) -> None:
    """Copy into `module` the weights of its equivalent from timm or torchvision; afterwards both compute the same.

    Every name and shape of both sides must be used. Raises InvalidInput, naming the first that does not fit.

    >>> import timm.layers
    >>> from featurelens.nn import SqueezeExcitation
    >>> theirs = timm.layers.SEModule(32, rd_channels=8)
    >>> load_from(block := SqueezeExcitation(32, 8), theirs)
    >>> torch.equal(block(x := torch.rand(2, 32, 4, 4)), theirs(x))
    True
    """
    names, given = _matched(module, other)
    with torch.no_grad():
        for ours, tensor in module.state_dict().items():
            tensor.copy_(given[names[ours]].view_as(tensor))


def export_to(module: Any, other: nn.Module) -> None:
    """Copy the weights of `module` into its equivalent from timm or torchvision. Raises InvalidInput."""
    names, given = _matched(module, other)
    with torch.no_grad():
        for ours, tensor in module.state_dict().items():
            theirs = given[names[ours]]
            theirs.copy_(tensor.view_as(theirs))


def _matched(module: Any, other: nn.Module) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Our names → theirs, and their tensors."""
    library = type(other).__module__.partition(".")[0]
    tables: Mapping[str, Rules] = getattr(module, "names", {})
    if library not in tables:
        raise InvalidInput(
            f"{type(module).__name__} does not know {library}'s {type(other).__name__}; "
            f"it exchanges weights with {', '.join(tables) or 'nothing'}."
        )
    given = other.state_dict()
    names = {ours: _renamed(ours, tables[library]) for ours in module.state_dict()}
    for ours, tensor in module.state_dict().items():
        theirs = names[ours]
        if theirs not in given:
            raise InvalidInput(
                f"{library}'s {type(other).__name__} has no '{theirs}', which is our '{ours}'."
            )
        if tensor.numel() != given[theirs].numel():
            raise InvalidInput(
                f"'{ours}' is {list(tensor.shape)} here and {list(given[theirs].shape)} in {library}: "
                "make both with the same sizes."
            )
    if rest := sorted(set(given) - set(names.values())):
        raise InvalidInput(f"{library}'s {type(other).__name__} also has '{rest[0]}', which is nothing here.")
    return names, given


def _renamed(name: str, rules: Rules) -> str:
    for pattern, replacement in rules:
        changed, found = re.subn(pattern, replacement, name, count=1)
        if found:
            return changed
    return name
