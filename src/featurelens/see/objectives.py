"""What a picture is to make large: a number for each image, read from named layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from featurelens.backbone.untouched import untouched
from featurelens.errors import InvalidInput, LayerError
from featurelens.images.decode import DEFAULT_MAX_PIXELS
from featurelens.see.read_pixels import read_pixels
from featurelens.see.reading import EMBEDDING, LOGITS, with_layers
from featurelens.shapes import Float

Outputs = Mapping[str, Tensor]
Score = Callable[[Outputs], Float[Tensor, " batch"]]


@dataclass(frozen=True, eq=False)
class Objective:
    """A score for each image of a batch, from what `layers` give: maps or vectors (see `Reading`).

    Add, subtract and scale objectives: `channel("layer3", 4) - 0.5 * logit(7)`. `copies` pictures are made
    at once and `apart` (one number for each copy) is added to the score so that they differ.
    """

    name: str
    layers: tuple[str, ...]
    score: Score
    copies: int = 1
    apart: Score | None = None

    def __add__(self, other: Objective) -> Objective:
        return _joined(self, other, 1.0)

    def __sub__(self, other: Objective) -> Objective:
        return _joined(self, other, -1.0)

    def __mul__(self, factor: float) -> Objective:
        score, apart = self.score, self.apart
        return replace(
            self,
            name=f"{factor:g}*{_in_brackets(self)}",
            score=lambda out: factor * score(out),
            apart=apart and (lambda out: abs(factor) * apart(out)),
        )

    __rmul__ = __mul__

    def __neg__(self) -> Objective:
        return self * -1.0


def channel(layer: str, unit: int) -> Objective:
    """One channel of a layer: its mean over all places (the value itself where the layer gives vectors).

    >>> channel("layer3", 42).name
    'layer3:42'
    """
    return Objective(
        f"{layer}:{unit}", (layer,), lambda out: _means(_unit(out[layer], unit, layer), from_axis=1)
    )


def neuron(layer: str, unit: int, place: tuple[int, int] | None = None) -> Objective:
    """One channel at one place (row, column) of the layer's map; default: the middle."""

    def score(out: Outputs) -> Tensor:
        one = _unit(out[layer], unit, layer)
        if one.ndim != 3:
            raise LayerError(f"The layer '{layer}' gives vectors, which have no places; ask for the channel.")
        rows, cols = one.shape[1:]
        row, col = place if place is not None else (rows // 2, cols // 2)
        if not (-rows <= row < rows and -cols <= col < cols):
            raise InvalidInput(f"Place ({row}, {col}) is outside the {rows} x {cols} map of '{layer}'.")
        return one[:, row, col]

    return Objective(
        f"{layer}:{unit}@{'center' if place is None else f'{place[0]},{place[1]}'}", (layer,), score
    )


def direction(layer: str, vector: Sequence[float] | Tensor, *, focus: float = 1.0) -> Objective:
    """A direction among the channels of a layer: the mean length along it, times the cosine to it ** `focus`.

    `focus=0` is the plain dot product with the unit vector; more asks the layer to hold little else.
    """
    towards = torch.as_tensor(vector, dtype=torch.float32)
    if towards.ndim != 1 or not bool(towards.isfinite().all()) or not float(towards.norm()):
        raise InvalidInput("A direction is one finite vector other than zero, with one number per channel.")
    towards = towards / towards.norm()

    def score(out: Outputs) -> Tensor:
        x = out[layer]
        if x.shape[1] != len(towards):
            raise InvalidInput(
                f"The direction has {len(towards)} numbers; '{layer}' has {x.shape[1]} channels."
            )
        along = torch.einsum("bc...,c->b...", x, towards.to(x))
        if focus:
            cosine = along / x.norm(dim=1).clamp_min(torch.finfo(x.dtype).tiny)
            along = along * cosine.clamp_min(0.1) ** focus
        return _means(along, from_axis=1)

    return Objective(f"{layer}:direction", (layer,), score)


def logit(target: int) -> Objective:
    """One class score of the network's own head, before the softmax."""
    return Objective(f"logit:{target}", (LOGITS,), lambda out: _unit(out[LOGITS], target, "logit"))


def embedding_like(
    backbone: Any, image: Any, *, exact: bool = False, max_pixels: int = DEFAULT_MAX_PIXELS
) -> Objective:
    """The cosine similarity of the picture's embedding to that of an image (path, array or PIL image).

    `exact` and `max_pixels` as in `decode`. The network is left as it was; InvalidInput for one that has no layers.
    """
    net = with_layers(backbone)
    pixels = read_pixels(image, net.spec.fit, exact=exact, max_pixels=max_pixels)
    with untouched(net.module):
        wanted = torch.from_numpy(net.embed(pixels[None])[0])
    if not float(wanted.norm()):
        raise InvalidInput("The embedding of this image is zero, so nothing can be like it.")
    name = getattr(image, "name", image) if isinstance(image, str) or hasattr(image, "name") else "an image"

    def score(out: Outputs) -> Tensor:
        return torch.nn.functional.cosine_similarity(out[EMBEDDING], wanted.to(out[EMBEDDING])[None], dim=1)

    return Objective(f"like {name}", (EMBEDDING,), score)


def diverse(objective: Objective, copies: int, *, weight: float = 1.0) -> Objective:
    """Several pictures for one objective, kept apart: `weight` x the mean cosine of their Gram matrices is taken off.

    The Gram matrix of a layer (channel x channel, over places) tells its texture and not its position
    (Olah et al., "Feature visualization", 2017; lucid's `diversity`). Theirs is added with a weight that must suit
    the layer (lucid's notebooks: 1e2); here `weight` counts in units of the objective: of its score, and where that is
    near zero, of what it would change if the layer's channels changed by their root mean square.
    """
    if copies < 2:
        raise InvalidInput(f"copies={copies}: keeping pictures apart takes at least 2.")
    layer = objective.layers[0]

    def apart(out: Outputs) -> Tensor:
        flat = out[layer].flatten(2) if out[layer].ndim > 2 else out[layer].unsqueeze(-1)
        gram = torch.einsum("bip,bjp->bij", flat, flat).flatten(1)
        gram = gram / gram.norm(dim=1, keepdim=True).clamp_min(torch.finfo(gram.dtype).tiny)
        alike = (gram @ gram.T).fill_diagonal_(0).sum(1) / (copies - 1)
        return -weight * alike * _size(objective, out, layer)

    return replace(objective, copies=copies, apart=apart)


def _size(objective: Objective, out: Outputs, layer: str) -> Float[Tensor, " batch"]:
    """How large the objective is, for each copy."""
    fixed = {name: x.detach() for name, x in out.items()}
    with torch.enable_grad():
        x = fixed[layer].requires_grad_()
        score = objective.score(fixed)
        size = score.detach().abs()
        if not score.requires_grad:  # it does not read the layer
            return size
        (slope,) = torch.autograd.grad(score.sum(), x)
    typical = x.detach().flatten(1).square().mean(1).sqrt()
    return torch.maximum(size, typical * slope.norm(dim=1).reshape(len(slope), -1).sum(1))


def _joined(a: Objective, b: Objective, sign: float) -> Objective:
    if a.copies != b.copies and 1 not in (a.copies, b.copies):
        raise InvalidInput(
            f"{a.name} makes {a.copies} pictures and {b.name} {b.copies}; they cannot be joined."
        )
    kept = [one for one in (a.apart, b.apart) if one is not None]
    right = _in_brackets(b) if sign < 0 else b.name
    return Objective(
        name=f"{a.name}{'+' if sign > 0 else '-'}{right}",
        layers=tuple(dict.fromkeys(a.layers + b.layers)),
        score=lambda out: a.score(out) + sign * b.score(out),
        copies=max(a.copies, b.copies),
        apart=(lambda out: torch.stack([one(out) for one in kept]).sum(0)) if kept else None,
    )


def _in_brackets(one: Objective) -> str:
    return f"({one.name})" if any(sign in one.name for sign in "+-") else one.name


def _unit(x: Tensor, unit: int, layer: str) -> Tensor:
    if not -x.shape[1] <= unit < x.shape[1]:
        raise InvalidInput(f"'{layer}' has units 0 to {x.shape[1] - 1}; there is no unit {unit}.")
    return x[:, unit]


def _means(x: Tensor, *, from_axis: int) -> Tensor:
    return x.flatten(from_axis).mean(-1) if x.ndim > from_axis else x
