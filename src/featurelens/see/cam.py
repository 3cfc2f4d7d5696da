"""Class activation maps: the channels of one layer, weighted by what they do for the score."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from featurelens.backbone.tap import tap
from featurelens.backbone.token_grid import Layout, as_map, only_tensor
from featurelens.errors import LayerError
from featurelens.see.score import Score, checked, pieces
from featurelens.shapes import Float

Maps = Float[Tensor, "image grid_row grid_col"]


def grad_cam(
    score: Score,
    x: Float[Tensor, "image 3 row col"],
    *,
    module: nn.Module,
    layer: str,
    layout: Layout,
    chunk: int = 16,
) -> Maps:
    """Each channel times its mean gradient, summed over channels; signed, one value per place of the layer.

    Selvaraju et al., "Grad-CAM" (2017), which draws the positive part. For global average pooling and a
    linear head the values sum to the class score minus its bias. Raises LayerError where the layer has no
    places or the score does not depend on it.
    """
    return _cam(score, x, module, layer, layout, chunk, "grad")


def layer_cam(
    score: Score,
    x: Float[Tensor, "image 3 row col"],
    *,
    module: nn.Module,
    layer: str,
    layout: Layout,
    chunk: int = 16,
) -> Maps:
    """Each value times the positive part of its own gradient, summed over channels: finer in early layers.

    Jiang et al., "LayerCAM" (2021). Raises LayerError as `grad_cam` does.
    """
    return _cam(score, x, module, layer, layout, chunk, "layer")


def _cam(
    score: Score,
    x: Tensor,
    module: nn.Module,
    layer: str,
    layout: Layout,
    chunk: int,
    how: Literal["grad", "layer"],
) -> Maps:
    which, found = torch.arange(len(x), device=x.device), []
    for part in pieces(len(x), chunk):
        maps, slopes = activation_and_slope(score, x[part], which[part], module, layer, layout)
        weights = slopes.mean((2, 3), keepdim=True) if how == "grad" else slopes.clamp_min(0)
        found.append((weights * maps).sum(1))
    return torch.cat(found)


def activation_and_slope(
    score: Score, x: Tensor, which: Tensor, module: nn.Module, layer: str, layout: Layout
) -> tuple[Tensor, Tensor]:
    """What the layer gives and the gradient of the score by it, both as [image, channel, row, col]."""
    with torch.inference_mode(False), torch.enable_grad(), tap(module, [layer], require_grad=True) as read:
        value = checked(score, x.detach(), which)
        output = only_tensor(read[layer])
        slope = None
        if value.requires_grad:
            (slope,) = torch.autograd.grad(value.sum(), output, allow_unused=True)
    if slope is None:
        raise LayerError(
            f"The target does not depend on what the layer '{layer}' gave at its last call. Choose a layer on "
            "the way to it, or leave the layer out."
        )
    return as_map(output.detach(), layout=layout), as_map(slope, layout=layout)
