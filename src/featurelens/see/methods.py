"""The table of attribution methods: each answers one question about a batch of images."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from featurelens.backbone.torch_backbone import TorchBackbone
from featurelens.catalog import unknown
from featurelens.errors import InvalidInput
from featurelens.see import attention, cam, gradients
from featurelens.see.baselines import baseline_of
from featurelens.see.cam_layer import cam_layer
from featurelens.see.integrated import integrated_gradients
from featurelens.see.occlusion import occlusion
from featurelens.see.score import Score


@dataclass(frozen=True, eq=False)
class Question:
    """Why did the network score these images (`x01` in [0, 1], `x` normalised) as it did?"""

    backbone: TorchBackbone
    x01: Tensor
    x: Tensor
    score: Score


@dataclass(frozen=True, eq=False)
class Answer:
    """`maps` [image, map_row, map_col], signed; `channels` [image, 3, row, col] for methods that tell colours
    apart; `facts` for each image go into the explanation as they are; `layer` is the one that was read.
    """

    maps: Tensor
    channels: Tensor | None = None
    layer: str | None = None
    facts: tuple[Mapping[str, Any], ...] = field(default=())


def _saliency(q: Question, *, chunk: int = 16) -> Answer:
    return _strongest(gradients.saliency(q.score, q.x, chunk=chunk))


def _input_x_gradient(q: Question, *, chunk: int = 16) -> Answer:
    return _summed(gradients.input_x_gradient(q.score, q.x, chunk=chunk))


def _smoothgrad(
    q: Question, *, samples: int = 25, noise: float = 0.15, seed: int = 0, chunk: int = 16
) -> Answer:
    return _strongest(
        gradients.smoothgrad(q.score, q.x, samples=samples, noise=noise, seed=seed, chunk=chunk)
    )


def _integrated(
    q: Question,
    *,
    baseline: str = "black",
    steps: int = 32,
    tolerance: float = 0.01,
    max_steps: int = 512,
    seed: int = 0,
    chunk: int = 16,
) -> Answer:
    ground = baseline_of(q.backbone, q.x01, baseline, seed=seed)
    found = integrated_gradients(
        q.score, q.x, ground, steps=steps, tolerance=tolerance, max_steps=max_steps, chunk=chunk
    )
    facts = tuple(
        {"base": float(base), "gap": float(gap), "complete": float(gap) <= tolerance, "steps": used}
        for base, gap, used in zip(found.base, found.gap, found.steps, strict=True)
    )
    return Answer(found.values.sum(1), found.values, facts=facts)


def _grad_cam(q: Question, *, layer: str | None = None, chunk: int = 16) -> Answer:
    return _cam(q, cam.grad_cam, layer, chunk)


def _layer_cam(q: Question, *, layer: str | None = None, chunk: int = 16) -> Answer:
    return _cam(q, cam.layer_cam, layer, chunk)


def _occlusion(
    q: Question,
    *,
    baseline: str = "mean",
    window: int | None = None,
    stride: int | None = None,
    seed: int = 0,
    chunk: int = 16,
) -> Answer:
    cover = baseline_of(q.backbone, q.x01, baseline, seed=seed)
    return Answer(occlusion(q.score, q.x, cover, window=window, stride=stride, chunk=chunk))


def _rollout(q: Question, *, chunk: int = 16) -> Answer:
    return Answer(attention.attention_rollout(q.score, q.x, module=q.backbone.module, chunk=chunk))


def _attention_gradient(q: Question, *, chunk: int = 16) -> Answer:
    return Answer(attention.attention_gradient(q.score, q.x, module=q.backbone.module, chunk=chunk))


METHODS: dict[str, Callable[..., Answer]] = {
    "grad-cam": _grad_cam,
    "layer-cam": _layer_cam,
    "integrated-gradients": _integrated,
    "saliency": _saliency,
    "input-x-gradient": _input_x_gradient,
    "smoothgrad": _smoothgrad,
    "occlusion": _occlusion,
    "attention-rollout": _rollout,
    "attention-gradient": _attention_gradient,
}
MANY_PASSES = ("smoothgrad", "occlusion")  # and no layer is read: a folded copy pays
# Integrated gradients run on the network itself: where a sum of many rounds otherwise, kinks of ReLU6 answer otherwise
# too, and the map would be 6e-4 of its largest value away from captum's (MobileNetV2), as far as both are from float64.
SIGNED = ("integrated-gradients", "input-x-gradient")


def answer(method: str, question: Question, options: Mapping[str, Any]) -> Answer:
    """Ask a method by its name; UnknownName or InvalidInput for names that it or the table does not have."""
    return METHODS[method](question, **settings(method, options))


def settings(method: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """All options of a method: those given, and the defaults of the others.

    Raises UnknownName or InvalidInput for a method, an option or a value that there is not.
    """
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    known = {
        name: parameter.default
        for name, parameter in inspect.signature(METHODS[method]).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    if strange := [name for name in options if name not in known]:
        raise InvalidInput(
            f"The method '{method}' does not take {', '.join(strange)}. It takes: {', '.join(known)}."
        )
    for name, value in options.items():
        expected, fits = _RULES.get(name, ("", None))
        if fits and not fits(value) and (value is not None or known[name] is not None):
            raise InvalidInput(f"{name}={value!r} of the method '{method}' must be {expected}.")
    return known | dict(options)


def _whole(value: Any, low: int = -(2**63), high: int = 2**64) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(low <= value < high)


def _size(value: Any) -> bool:
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    return number and bool(0 <= value < math.inf)


def _count(value: Any) -> bool:
    return _whole(value, 1)


# What a value must be, in words and as a test; where the default is None, so may be the value.
_RULES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "layer": ("the name of a layer", lambda value: isinstance(value, str)),
    "seed": ("a whole number of 64 bits", _whole),
    **dict.fromkeys(("noise", "tolerance"), ("a number of at least 0", _size)),
    **dict.fromkeys(
        ("samples", "steps", "max_steps", "window", "stride", "chunk"),
        ("a whole number of at least 1", _count),
    ),
}


def _cam(q: Question, function: Callable[..., Tensor], layer: str | None, chunk: int) -> Answer:
    module = q.backbone.module
    name, layout = cam_layer(q.score, module, q.x, layer=layer)
    maps = function(q.score, q.x, module=module, layer=name, layout=layout, chunk=chunk)
    return Answer(maps, layer=name)


def _summed(channels: Tensor) -> Answer:
    return Answer(channels.sum(1), channels)


def _strongest(channels: Tensor) -> Answer:
    """The gradient of the colour channel with the largest one, as a size: its sign says little about a place."""
    return Answer(torch.amax(channels.abs(), 1), channels)
