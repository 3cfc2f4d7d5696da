"""How vision transformers move information from patches to what their head reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from featurelens.backbone.attention import attention_weights
from featurelens.backbone.layout import layouts
from featurelens.backbone.token_grid import Layout
from featurelens.errors import LayerError
from featurelens.see.score import Score, checked, pieces
from featurelens.shapes import Float

Maps = Float[Tensor, "image grid_row grid_col"]


def attention_rollout(
    score: Score, x: Float[Tensor, "image 3 row col"], *, module: nn.Module, chunk: int = 16
) -> Maps:
    """The product of all layers' attention, averaged over heads, half of it going past each layer.

    Abnar and Zuidema, "Quantifying Attention Flow in Transformers" (2020). It does not depend on the target:
    the score only tells which tokens the head reads. Raises LayerError for networks without attention
    between all patches in every layer (convolutional, windowed, hierarchical).
    """
    return _relevance(score, x, module, chunk, "rollout")


def attention_gradient(
    score: Score, x: Float[Tensor, "image 3 row col"], *, module: nn.Module, chunk: int = 16
) -> Maps:
    """Attention times its positive gradient by the score, layer upon layer; specific to the target.

    Chefer, Gur and Wolf, "Generic Attention-model Explainability" (2021). Raises LayerError as
    `attention_rollout` does.
    """
    return _relevance(score, x, module, chunk, "gradient")


def _relevance(
    score: Score, x: Tensor, module: nn.Module, chunk: int, how: Literal["rollout", "gradient"]
) -> Maps:
    which, found, layout = torch.arange(len(x), device=x.device), [], None
    for part in pieces(len(x), chunk):
        weights, slopes = _attention(score, x[part], which[part], module)
        pool = _check(weights, module, len(x[part]))
        layout = layout or _token_layout(module, weights, (int(x.shape[2]), int(x.shape[3])))
        read = _reading(weights, slopes, pool, how)
        layers = {name: layer for name, layer in weights.items() if name != pool}
        flow = rollout(list(layers.values())) if how == "rollout" else relevance(layers, slopes)
        rows = (flow * read[:, :, None]).sum(1)
        assert layout.grid is not None
        found.append(rows[:, layout.prefix_tokens :].unflatten(1, layout.grid))
    return torch.cat(found)


def rollout(weights: list[Tensor]) -> Float[Tensor, "image token token"]:
    """Rows: tokens at the end, columns: tokens at the start; each row sums to 1."""
    flow = None
    for layer in weights:
        mean = layer.mean(1)
        step = 0.5 * mean + 0.5 * torch.eye(mean.shape[1], dtype=mean.dtype, device=mean.device)
        flow = step if flow is None else step @ flow
    assert flow is not None
    return flow


def relevance(
    weights: Mapping[str, Tensor], slopes: Mapping[str, Tensor]
) -> Float[Tensor, "image token token"]:
    """R = 1, then R + (mean over heads of (gradient x attention)+) R for each layer."""
    flow = None
    for name, layer in weights.items():
        step = (layer * slopes[name]).clamp_min(0).mean(1)
        one = torch.eye(step.shape[1], dtype=step.dtype, device=step.device)
        flow = one + step if flow is None else flow + step @ flow
    assert flow is not None
    return flow


def _attention(
    score: Score, x: Tensor, which: Tensor, module: nn.Module
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Attention of each layer, first layer first, and its gradient by the score."""
    with torch.inference_mode(False), torch.enable_grad(), attention_weights(module) as read:
        value = checked(score, x.detach().requires_grad_(), which)
        weights = dict(read)
        if fixed := [name for name, w in weights.items() if not w.requires_grad]:
            raise LayerError(
                f"What can be read of the attention of '{fixed[0]}' in {type(module).__name__} goes by position alone, so "
                "it has no gradient. Use grad-cam or integrated-gradients."
            )
        found = torch.autograd.grad(value.sum(), list(weights.values()), allow_unused=True) if weights else ()
    pairs = zip(weights.items(), found, strict=True)
    slopes = {name: torch.zeros_like(w) if slope is None else slope for (name, w), slope in pairs}
    return {name: w.detach() for name, w in weights.items()}, slopes


def _reading(
    weights: dict[str, Tensor], slopes: dict[str, Tensor], pool: str | None, how: str
) -> Float[Tensor, "image token"]:
    """How much the head reads of each token after the last layer; shares that sum to 1.

    A head that pools by attention says so itself. Else a token that the head reads passes on what it attends
    to, so its row of the last layer has a gradient; all such tokens count alike.
    """
    if pool is not None:
        taken = weights[pool] if how == "rollout" else (weights[pool] * slopes[pool]).clamp_min(0)
        read = taken.mean((1, 2))
    else:
        last = slopes[next(reversed(slopes))].abs().amax((1, 3))
        read = (last > 1e-6 * last.amax(1, keepdim=True)).to(last.dtype)
    return read / read.sum(1, keepdim=True).clamp_min(torch.finfo(read.dtype).tiny)


def _check(weights: dict[str, Tensor], module: nn.Module, images: int) -> str | None:
    """The name of the last layer if it pools all tokens by attention; LayerError for what cannot be followed."""
    kind = type(module).__name__
    if not weights:
        raise LayerError(
            f"{kind} has no attention layers that can be read. Use grad-cam or integrated-gradients, which work "
            "for every network."
        )
    if any(w.ndim != 4 for w in weights.values()):  # not [image, head, query, key]
        raise LayerError(
            f"The attention of {kind} has no heads side by side, which following it needs. Use grad-cam or "
            "integrated-gradients."
        )
    *layers, (name, last) = weights.items()
    pools = bool(layers) and last.shape[2] != last.shape[3]
    shapes = {(w.shape[0], w.shape[2], w.shape[3]) for _, w in layers} or {(last.shape[0], *last.shape[2:])}
    batch, queries, keys = next(iter(shapes))
    if (
        len(shapes) > 1
        or batch != images
        or queries != keys
        or last.shape[3] != keys
        or last.shape[0] != images
    ):
        raise LayerError(
            f"The attention of {kind} does not join all patches in every layer (it is cut into windows, or the "
            "number of tokens changes), so it cannot be followed through the layers. Use grad-cam or "
            "integrated-gradients."
        )
    return name if pools else None


def _token_layout(module: nn.Module, weights: dict[str, Tensor], size: tuple[int, int]) -> Layout:
    """How the tokens of the attention lie on the image: that of the attention layers' own output."""
    tokens = next(iter(weights.values())).shape[2]
    names = [name for name in weights if name]
    for found in layouts(module, names, size).values():
        for layout in found:
            rows, cols = layout.grid or (0, 0)
            if rows * cols and layout.prefix_tokens + rows * cols == tokens and layout.arrange is None:
                return layout
    raise LayerError(
        f"It cannot be told where the {tokens} tokens of {type(module).__name__} lie on the image. Use grad-cam."
    )
