"""What each value of a recipe may be, in one place: told with its name, what was given and what is expected."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

from featurelens.errors import InvalidInput
from featurelens.images.procedural.scene import SCENES, WORN
from featurelens.images.procedural.textures import KINDS

OBJECTIVES = ("simclr", "vicreg", "barlow", "byol", "simsiam")
_OWN = (
    "num_classes",
    "pretrained",
    "pretrained_cfg",
    "pretrained_cfg_overlay",
    "checkpoint_path",
    "features_only",
)
"""Options of timm that pretraining decides itself: weights come by --start."""

_DRAWN = (*SCENES, *KINDS, *WORN)


class Rule(NamedTuple):
    """What is expected, in words, and whether a value is it."""

    expected: str
    fits: Callable[[Any], bool]


def _whole(least: int) -> Rule:
    return Rule(f"a whole number of at least {least}", lambda v: type(v) is int and v >= least)


def _number(v: Any) -> bool:
    return isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v)


def _several(v: Any, fits: Callable[[Any], bool], count: int | None = None) -> bool:
    return isinstance(v, list | tuple) and len(v) == (count or max(1, len(v))) and all(map(fits, v))


def _one_of(*names: str) -> Rule:
    return Rule(f"one of {', '.join(names)}", lambda v: v in names)


_TEXT = Rule("a text", lambda v: isinstance(v, str) and bool(v))
_ABOVE = Rule("a number above 0", lambda v: _number(v) and v > 0)
_LEAST = Rule("a number of at least 0", lambda v: _number(v) and v >= 0)
_SHARE = Rule("a share from 0 to 1", lambda v: _number(v) and 0 <= v <= 1)
_PIXELS = 4
"""A blurred view must be larger than its kernel's margin."""

RECIPE: Mapping[str, Rule] = {
    "name": _TEXT,
    "architecture": _TEXT,
    "options": Rule(
        f"a table of what timm's create_model takes besides {', '.join(_OWN)}",
        lambda v: isinstance(v, dict) and not set(v) & set(_OWN),
    ),
    "objective": _one_of(*OBJECTIVES),
    "temperature": _ABOVE,
    "projector": Rule("one or more whole numbers above 0", lambda v: _several(v, _whole(1).fits)),
    "phases": Rule(
        f"one or more [steps, pixels, pairs per step]: whole numbers, steps >= 0, pixels >= {_PIXELS}, pairs >= 2",
        lambda v: _several(v, _phase),
    ),
    "local_views": _whole(0),
    "local_size": _whole(_PIXELS),
    "lr": _ABOVE,
    "weight_decay": _LEAST,
    "warmup": _whole(0),
    "decay": _SHARE,
    "ema": _SHARE,
    "precision": _one_of("auto", "fp32", "bf16"),
    "pool": _whole(1),
    "views": _whole(1),
    "pool_size": _whole(_PIXELS),
    "refresh": _whole(0),
    "chunk": _whole(1),
    "compile": Rule("true or false", lambda v: isinstance(v, bool)),
    "mixture": Rule(
        f"a table of whole numbers of at least 0, of {', '.join(_DRAWN)}",
        lambda v: isinstance(v, dict) and set(v) <= set(_DRAWN) and all(map(_whole(0).fits, v.values())),
    ),
    "augment": Rule("a table", lambda v: isinstance(v, dict)),
    "seed": _whole(0),
    "mean": Rule("three numbers", lambda v: _several(v, _number, 3)),
    "std": Rule("three numbers above 0", lambda v: _several(v, _ABOVE.fits, 3)),
    "result": _one_of("descriptor", "network"),
    "input": _whole(0),
}
AUGMENT: Mapping[str, Rule] = {
    "area": Rule(
        "two shares [smallest, largest] above 0 and at most 1",
        lambda v: _several(v, _number, 2) and 0 < v[0] <= v[1] <= 1,
    ),
    "turn": Rule("degrees from 0 to 180", lambda v: _number(v) and 0 <= v <= 180),
    "hue": Rule("a share from 0 to 0.5", lambda v: _number(v) and 0 <= v <= 0.5),
    **dict.fromkeys(("flip", "brightness", "contrast", "saturation", "jitter", "grey", "blur"), _SHARE),
}


def check_recipe(values: Mapping[str, Any]) -> None:
    """InvalidInput for the first value or key, in `augment` too, that is not what a recipe takes."""
    _check(values, RECIPE, "")
    _check(values.get("augment", {}), AUGMENT, "augment.")


def _check(values: Mapping[str, Any], rules: Mapping[str, Rule], where: str) -> None:
    for name, value in values.items():
        if name not in rules:
            close = get_close_matches(str(name), rules, n=1)
            meant = f" Did you mean '{where}{close[0]}'?" if close else ""
            raise InvalidInput(
                f"The recipe has no '{where}{name}'.{meant} Known: {', '.join(sorted(rules))}."
            )
        if not rules[name].fits(value):
            raise InvalidInput(f"The recipe's {where}{name} is {value!r}; it must be {rules[name].expected}.")


def _phase(v: Any) -> bool:
    return _several(v, _whole(0).fits, 3) and v[1] >= _PIXELS and v[2] >= 2
