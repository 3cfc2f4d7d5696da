"""Any ONNX file with one image input: its layout is read from the graph, its preprocessing from a side file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featurelens.backbone.openvino_backbone import OpenVINOBackbone, read_model
from featurelens.backbone.protocol import Spec
from featurelens.backbone.request import Request
from featurelens.errors import BackboneError
from featurelens.images.fit import Fit


@dataclass(frozen=True)
class _Graph:
    size: tuple[int, int]
    channels_last: bool
    outputs: tuple[int, int | None]
    dim: int
    map_channels: int


def load(request: Request) -> OpenVINOBackbone:
    """`onnx:FILE`; BackboneError if it takes no images or gives no vector.

    `spec.json` or FILE.json beside it may hold `mean`, `std`, `fit` and `licence`; without them ImageNet's
    mean and std are used, and that is said. `size=` sets the side of a graph with free rows and columns.
    """
    request.refuse("An ONNX file", weights=request.weights)
    if request.engine == "torch":
        raise BackboneError(
            "An ONNX file runs on OpenVINO; engine='torch' needs the network it was made from."
        )
    file = Path(request.rest).expanduser()
    side = _side_file(file)
    graph = _read(file, request.size)
    if not side and not (request.mean and request.std):
        request.say(
            f"{file.name} says nothing of its preprocessing: ImageNet's mean and std are assumed. "
            f'Put {{"mean": […], "std": […]}} (in [0, 1] units) into {file.name}.json to set them.'
        )
    fit = Fit(**{**side.get("fit", {}), "rows": graph.size[0], "cols": graph.size[1]})
    spec = Spec(
        name=request.name,
        weights=hashlib.sha256(file.read_bytes()).hexdigest(),
        dim=graph.dim,
        fit=fit,
        mean=request.mean or tuple(side.get("mean", Spec.mean)),
        std=request.std or tuple(side.get("std", Spec.std)),
        map_channels=graph.map_channels,
        licence=str(side.get("licence", "not stated")),
    )
    return OpenVINOBackbone(
        file, spec, outputs=graph.outputs, channels_last=graph.channels_last, threads=request.threads
    )


def _side_file(file: Path) -> dict[str, Any]:
    for side in (file.with_name(file.name + ".json"), file.with_name("spec.json")):
        if side.is_file():
            try:
                return dict(json.loads(side.read_text(encoding="utf-8")))
            except ValueError as error:
                raise BackboneError(f"{side} is no JSON object: {error}") from error
    return {}


def _read(file: Path, side: int | None) -> _Graph:
    model = read_model(file)
    if len(model.inputs) != 1 or len(model.inputs[0].partial_shape) != 4:
        shapes = ", ".join(str(i.partial_shape) for i in model.inputs)
        raise BackboneError(
            f"{file} does not take images: its inputs are {shapes}; expected one of [batch, 3, row, col] or "
            "[batch, row, col, 3]."
        )
    shape = [-1 if d.is_dynamic else d.get_length() for d in model.inputs[0].partial_shape]
    if 3 not in (shape[1], shape[3]):
        raise BackboneError(f"{file} takes {shape}; expected 3 colour channels at place 2 or 4.")
    last = shape[1] != 3
    rows, cols = (shape[1:3] if last else shape[2:]) if side is None else (side, side)
    rows, cols = (rows if rows > 0 else 224), (cols if cols > 0 else 224)
    batch = shape[0] if shape[0] > 0 else 2
    try:
        model.reshape([batch, rows, cols, 3] if last else [batch, 3, rows, cols])
    except RuntimeError as error:
        raise BackboneError(f"{file} does not take images of {rows} × {cols}; leave size= out.") from error
    found = [list(o.shape) if o.partial_shape.is_static else [] for o in model.outputs]
    vectors = [i for i, s in enumerate(found) if len(s) == 2 or (len(s) == 4 and s[2:] == [1, 1])]
    maps = [i for i, s in enumerate(found) if len(s) == 4 and s[2:] != [1, 1]]
    if not vectors:
        raise BackboneError(f"{file} gives no vector: its outputs are {found}; expected one of [batch, dim].")
    named = [i for i in vectors if "embedding" in model.outputs[i].get_names()]
    chosen = (named or vectors)[0]
    channels = found[maps[0]][1] if maps else 0
    return _Graph((rows, cols), last, (chosen, maps[0] if maps else None), found[chosen][1], channels)
