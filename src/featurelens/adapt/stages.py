"""The stages of a network from its input to its classifier, with every parameter in exactly one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import nn

from featurelens.errors import BackboneError

HEAD = "head"
_HOLDER = 0.8  # a child with more of the parameters than this is no stage but holds the stages


@dataclass(frozen=True)
class Stage:
    """A name, and the names of the parameters that belong together."""

    name: str
    parameters: tuple[str, ...]


def stages(module: nn.Module, classifier: Iterable[str], *, by: str = "stage") -> tuple[Stage, ...]:
    """Split the parameters by depth; the last stage is the classifier, whose modules are named.

    timm's networks tell their own stages (by="layer": layers) through `group_matcher`; of others each outer
    module is a stage. Raises BackboneError for parameters that belong nowhere.

    >>> [s.name for s in stages(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), ["1"])]
    ['0', 'head']
    """
    heads = tuple(f"{name}." for name in classifier)
    names = [name for name, _ in module.named_parameters()]
    head = [name for name in names if name.startswith(heads)]
    body = [name for name in names if not name.startswith(heads)]
    matcher = getattr(module, "group_matcher", None)
    groups = (
        _by_structure(module, body)
        if matcher is None
        else _by_matcher(module, matcher(coarse=by == "stage"), body, heads)
    )
    found = tuple(Stage(_called(group), tuple(group)) for group in groups if group)
    return (*found, Stage(HEAD, tuple(head)))


def _by_matcher(module: Any, matcher: Any, body: list[str], heads: tuple[str, ...]) -> list[list[str]]:
    from timm.models import group_parameters

    depth: Any = group_parameters(module, matcher, reverse=True)
    around = {f"{head.partition('.')[0]}." for head in heads}  # what stands in the head before the classifier
    known = [n for n, name in enumerate(body) if _matches(matcher, name)]
    strays = set(body) - {body[n] for n in known}
    # timm's rule: what is unknown and comes after all that is known (a neck, a last norm) belongs to the last stage
    early = body[: max(known, default=-1)]
    lost = [name for name in early if name in strays and not name.startswith(tuple(around))]
    if lost:
        raise BackboneError(
            f"{len(lost)} parameters of {type(module).__name__} belong to none of its stages: {', '.join(lost[:5])}. "
            "Its group_matcher in timm does not know them; choose another network."
        )
    last = max((depth[name] for name in body if name not in strays), default=0)
    groups: dict[int, list[str]] = {}
    for name in body:
        groups.setdefault(last if name in strays else depth[name], []).append(name)
    return [groups[i] for i in sorted(groups)]


def _matches(matcher: Any, name: str) -> bool:
    if not isinstance(matcher, dict):
        return True
    rules = [m for spec in matcher.values() if spec is not None for m in _patterns(spec)]
    return any(re.match(rule, name) for rule in rules)


def _patterns(spec: Any) -> list[str]:
    return [spec] if isinstance(spec, str) else [one[0] for one in spec]


def _by_structure(module: nn.Module, body: list[str]) -> list[list[str]]:
    """The outer modules in their order; one that holds nearly everything is replaced by its own children."""
    counts = {name: parameter.numel() for name, parameter in module.named_parameters()}
    total = sum(counts[name] for name in body) or 1

    def split(prefix: str, inside: list[str]) -> list[list[str]]:
        parts: dict[str, list[str]] = {}
        for name in inside:
            parts.setdefault(prefix + name.removeprefix(prefix).partition(".")[0], []).append(name)
        groups: list[list[str]] = []
        for part, own in parts.items():
            holder = sum(counts[name] for name in own) > _HOLDER * total or part == "features"
            deeper = holder and len(own) > 2 and not isinstance(_module(module, part), _LAYERS)
            groups += split(f"{part}.", own) if deeper else [own]
        return groups

    return split("", body)


_LAYERS = (nn.Linear, nn.Conv2d, nn.modules.batchnorm._BatchNorm, nn.MultiheadAttention)


def _module(module: nn.Module, name: str) -> nn.Module | None:
    try:
        return module.get_submodule(name)
    except AttributeError:
        return None  # a parameter of its own, such as a class token


def _called(names: list[str]) -> str:
    """What the names have in common, else their outer modules."""
    paths = [name.split(".") for name in names]
    common: list[str] = []
    for level in zip(*(path[:-1] for path in paths), strict=False):
        if len(set(level)) > 1:
            break
        common.append(level[0])
    if common:
        return ".".join(common)
    outer = list(dict.fromkeys(path[0] if len(path) < 3 else ".".join(path[:2]) for path in paths))
    return " + ".join(outer if len(outer) <= 4 else [*outer[:2], "…", outer[-1]])
