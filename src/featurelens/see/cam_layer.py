"""Which layer a class activation map is best read from, for any network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from featurelens.backbone.attention import attends
from featurelens.backbone.layout import layout_of, layouts
from featurelens.backbone.token_grid import Layout, as_map
from featurelens.errors import LayerError
from featurelens.see.score import Score, checked


def cam_layer(score: Score, module: nn.Module, x: Tensor, *, layer: str | None = None) -> tuple[str, Layout]:
    """The layer named, or the last one whose places the score depends on, and its layout.

    For a convolutional network that is its last map. The last block of a vision transformer is not it where
    only the class token is read: no patch token has a gradient there, so it is the norm before the last
    attention. Layers inside attention are left out. Raises LayerError where there is none.
    """
    size = (int(x.shape[2]), int(x.shape[3]))
    if layer is not None:
        layout = layout_of(module, layer.partition("@")[0], size)
        if not layout.spatial:
            raise LayerError(
                f"The layer '{layer}' gives no map (its axes are {', '.join(layout.axes)}). Choose a layer "
                "with places; 'featurelens layers' lists all."
            )
        return layer, layout
    slopes = _slopes(score, module, x)
    dead = not any(bool(slope.any()) for slope in slopes.values())  # an untrained head of zeros: an empty map
    for name, found in layouts(module, list(slopes), size).items():
        if len(found) == 1 and found[0].spatial and _spread(slopes[name], found[0], dead=dead):
            return name, found[0]
    raise LayerError(
        f"{type(module).__name__} has no layer with places that the target depends on. Name a layer, or use a "
        "method that needs none: integrated-gradients, occlusion."
    )


def _slopes(score: Score, module: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """The gradient of the first image's score by each layer outside attention, the last to finish first."""
    outputs: dict[str, Tensor] = {}

    def note(name: str) -> Callable[..., None]:
        def hook(_part: nn.Module, _inputs: Any, output: Any) -> None:
            outputs.pop(name, None)
            if isinstance(output, Tensor) and output.ndim in (3, 4) and output.requires_grad:
                outputs[name] = output

        return hook

    inside = tuple(f"{name}." for name, part in module.named_modules() if name and attends(part))
    handles = [
        part.register_forward_hook(note(name))
        for name, part in module.named_modules()
        if name and not name.startswith(inside or ("\0",))
    ]
    try:
        with torch.inference_mode(False), torch.enable_grad():
            one = x[:1].detach().requires_grad_()
            value = checked(score, one, torch.zeros(1, dtype=torch.long, device=x.device))
            found = (
                torch.autograd.grad(value.sum(), list(outputs.values()), allow_unused=True) if outputs else ()
            )
    finally:
        for handle in handles:
            handle.remove()
    pairs = [(name, slope) for name, slope in zip(outputs, found, strict=True) if slope is not None]
    return dict(reversed(pairs))


def _spread(slope: Tensor, layout: Layout, *, dead: bool) -> bool:
    """Whether the score depends on more than one place of a map that has several; `dead`: whether it has several."""
    try:
        places = as_map(slope, layout=layout).abs().amax(1)
    except LayerError:
        return False
    return min(places.shape[1:]) > 1 and (dead or int((places > 0).sum()) > 1)
