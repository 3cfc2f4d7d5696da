"""Weights to and from timm's and torchvision's version of a block: the same numbers under other names."""

from __future__ import annotations

import copy
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

    Every name and shape of both sides must be used, and copies of both with the same random weights must give the same
    output: what no weight tells (eps, padding, heads, activation) is compared so. Raises InvalidInput, saying what differs.

    >>> import timm.layers
    >>> from featurelens.nn import SqueezeExcitation
    >>> theirs = timm.layers.SEModule(32, rd_channels=8)
    >>> load_from(block := SqueezeExcitation(32, 8), theirs)
    >>> torch.equal(block(x := torch.rand(2, 32, 4, 4)), theirs(x))
    True
    """
    names, given = _matched(module, other)
    _check_outputs(module, other, names)
    with torch.no_grad():
        for ours, tensor in module.state_dict().items():
            tensor.copy_(given[names[ours]].view_as(tensor))


def export_to(module: Any, other: nn.Module) -> None:
    """Copy the weights of `module` into its equivalent from timm or torchvision. Raises InvalidInput as `load_from`."""
    names, given = _matched(module, other)
    _check_outputs(module, other, names)
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
        if tensor.squeeze().shape != given[theirs].squeeze().shape:
            raise InvalidInput(
                f"'{ours}' is {list(tensor.shape)} here and {list(given[theirs].shape)} in {library}: "
                "make both with the same sizes."
            )
    if rest := sorted(set(given) - set(names.values())):
        raise InvalidInput(f"{library}'s {type(other).__name__} also has '{rest[0]}', which is nothing here.")
    return names, given


@torch.no_grad()
def _check_outputs(module: nn.Module, other: nn.Module, names: Mapping[str, str]) -> None:
    """InvalidInput unless copies of both, with the same random weights, compute the same in double precision."""
    ours, theirs = (copy.deepcopy(one).cpu().double().eval() for one in (module, other))
    source, given = torch.Generator().manual_seed(0), theirs.state_dict()
    for name, tensor in ours.state_dict().items():
        if tensor.is_floating_point():
            drawn = torch.rand(tensor.shape, generator=source, dtype=torch.float64)
            fan_in = tensor[0].numel() if tensor.ndim > 1 else 0
            tensor.copy_((drawn - 0.5) * (12 / fan_in) ** 0.5 if fan_in else drawn + 0.1)
            given[names[name]].copy_(tensor.view_as(given[names[name]]))
    x = _example(ours, source)
    what = f"{type(other).__module__.partition('.')[0]}'s {type(other).__name__}"
    try:
        found, wanted = (_first(net(x)) for net in (ours, theirs))
    except (AssertionError, RuntimeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise InvalidInput(
            f"{what} does not take what {type(module).__name__} does, {list(x.shape)}: {reason}"
        ) from error
    if found.shape != wanted.shape or (found - wanted).abs().max() > 1e-6 * wanted.abs().max():
        raise InvalidInput(
            f"{what} computes something else than {type(module).__name__} from the same weights. {_why(ours, theirs)}"
        )


def _example(module: nn.Module, source: torch.Generator) -> Tensor:
    """Something that the module takes: tokens or a map with even sides, where paddings differ."""
    first: Any = next(m for m in module.modules() if isinstance(m, nn.Conv2d | nn.Linear))
    if isinstance(first, nn.Linear):
        return torch.rand(2, 5, first.in_features, generator=source, dtype=torch.float64)
    side: Any = next((m.size for m in module.modules() if hasattr(m, "size")), 32)
    return torch.rand(2, first.in_channels, side, side, generator=source, dtype=torch.float64)


def _first(output: Any) -> Tensor:
    return output[0] if isinstance(output, tuple) else output


def _why(ours: nn.Module, theirs: nn.Module) -> str:
    here, there = (_eps(net) for net in (ours, theirs))
    if here != there:
        return f"The eps of its norms is {sorted(there)}, here {sorted(here)}; where ours takes eps=, give it the same."
    return "Its eps are the same, so it has another padding, stride, activation, number of heads or way of pooling."


def _eps(net: nn.Module) -> set[float]:
    return {float(vars(m)["eps"]) for m in net.modules() if "eps" in vars(m)}


def _renamed(name: str, rules: Rules) -> str:
    for pattern, replacement in rules:
        changed, found = re.subn(pattern, replacement, name, count=1)
        if found:
            return changed
    return name
