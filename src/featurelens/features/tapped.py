"""Several layers and poolings of a torch backbone in one pass, one vector per image each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np

from featurelens.backbone.protocol import Backbone
from featurelens.errors import InvalidInput, LayerError
from featurelens.features.pooling import pool
from featurelens.shapes import Float, UInt8

Work = Callable[[UInt8[np.ndarray, "batch row col 3"]], dict[str, Float[np.ndarray, "batch _"]]]


def layer_work(backbone: Backbone, wanted: Mapping[str, tuple[str, str]]) -> Work:
    """A function from pixels to one array per set (layer, pooling); the network is hooked only while it runs.

    InvalidInput for a backbone without layers (any engine but torch); LayerError for an unknown layer.
    """
    module = getattr(backbone, "module", None)
    if module is None:
        raise InvalidInput(
            f"'{backbone.spec.name}' runs on an engine that does not show its layers. "
            "Load it with load_backbone(name, engine='torch'), or leave out layers=."
        )
    from featurelens.backbone.tap import tap

    names = list(dict.fromkeys(layer for layer, _ in wanted.values()))
    fit = backbone.spec.fit
    run = _whole(backbone)
    try:
        with tap(module, names, detach=True) as outputs:
            run(np.zeros((1, fit.rows, fit.cols, 3), np.uint8))
            _ = [outputs[name] for name in names]
    except (LayerError, NotImplementedError):
        run = backbone.embed  # a module without a forward of its own; or no layer at all: tap says so
    places, why = _layouts(module, names, (fit.rows, fit.cols))

    def work(pixels: UInt8[np.ndarray, "batch row col 3"]) -> dict[str, Float[np.ndarray, "batch _"]]:
        with tap(module, names, detach=True) as outputs:  # its hooks hear only this thread
            run(pixels)
            return {
                name: _pooled(layer, outputs[layer], places.get(layer), pooling, images=len(pixels), why=why)
                for name, (layer, pooling) in wanted.items()
            }

    return work


def _whole(backbone: Any) -> Callable[[UInt8[np.ndarray, "batch row col 3"]], Any]:
    """The network to its end, as `layers()` lists it: a head gives class scores, which embedding leaves out."""
    import torch

    def run(pixels: UInt8[np.ndarray, "batch row col 3"]) -> Any:
        low = torch.autocast("cuda", torch.bfloat16, enabled=backbone.spec.precision == "bf16")
        with torch.inference_mode(), low:
            return backbone.module(backbone.normalize(backbone.prepare(pixels)))

    return run


def _layouts(module: Any, names: Sequence[str], size: tuple[int, int]) -> tuple[dict[str, Any], str]:
    """The layouts that are known, and why others are not."""
    from featurelens.backbone.layout import layouts

    try:
        found = layouts(module, names, size)
    except LayerError as error:
        return {}, str(error).rstrip(".")
    known = {name: of_name[0] for name, of_name in found.items() if len(of_name) == 1}
    return known, "its shapes at other sizes do not tell"


def _pooled(
    name: str, output: Any, layout: Any, pooling: str, *, images: int, why: str
) -> Float[np.ndarray, "batch _"]:
    from featurelens.backbone.token_grid import as_map, only_tensor

    try:
        tensor = only_tensor(output)
        if (layout is None or not layout.spatial) and len(tensor) != images:
            raise LayerError(
                f"it gives {list(tensor.shape)} for {images} images: it works on windows, or has no row for each. "
                "Choose the layer around it."
            )
        doubtful = layout is None or "unknown" in layout.axes
        if doubtful and tensor.ndim > 2 and pooling != "flatten":
            raise LayerError(
                f"which axes of {list(tensor.shape)} are places cannot be told ({why}). Use pooling 'flatten', or "
                "another layer."
            )
        if layout is None or not layout.spatial or "batch" not in layout.axes:
            return pool(tensor, pooling)
        if pooling == "cls":
            return pool(_class_token(tensor, layout), pooling)
        if pooling == "flatten":
            return pool(tensor.movedim(layout.axes.index("batch"), 0), pooling)
        return pool(as_map(tensor, layout=layout), pooling)
    except (LayerError, InvalidInput) as error:
        raise type(error)(f"Layer '{name}': {error}") from error


def _class_token(tensor: Any, layout: Any) -> Any:
    if "token" not in layout.axes or layout.prefix_tokens < 1:
        raise InvalidInput(
            "pooling 'cls' needs a sequence with a class token before the grid; this output has none. "
            "Use avg, max or gem."
        )
    batch = layout.axes.index("batch")
    token = layout.axes.index("token")
    return cast(Any, tensor).movedim((batch, token), (0, 1))[:, :1]
