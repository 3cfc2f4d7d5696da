"""Any ONNX file with one image input: its layout is read from the graph, its preprocessing from a side file."""

from __future__ import annotations

import hashlib
import json
from functools import partial
from pathlib import Path
from typing import Any

from featurelens.backbone.onnx_files import chunks, parts
from featurelens.backbone.onnx_graph import Graph, read_graph, understand
from featurelens.backbone.openvino_backbone import OpenVINOBackbone
from featurelens.backbone.protocol import Spec
from featurelens.backbone.request import Request, Triple
from featurelens.errors import BackboneError, InvalidInput
from featurelens.images.fit import Fit

_EXAMPLE = '{"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "fit": {"crop_pct": 0.9}, "licence": "MIT"}'


def load(request: Request) -> OpenVINOBackbone:
    """`onnx:FILE`; BackboneError if it takes no images or gives nothing to embed them by.

    Pixels may come as [batch, 3, row, col] or [batch, row, col, 3]; the embedding is an output
    [batch, dim], else the class token or the mean of the places. `spec.json` or FILE.json beside it may
    hold `mean`, `std` ([0, 1] units), `fit` and `licence`; without them ImageNet's mean and std are used,
    and that is said. `size=` sets the side of a graph with free rows and columns.
    """
    request.refuse("An ONNX file", weights=request.weights)
    if request.engine == "torch":
        raise BackboneError(
            "An ONNX file runs on OpenVINO; engine='torch' needs the network it was made from."
        )
    file = Path(request.rest)
    side = _side_file(file)
    fit = _fit(side, file)
    graph = understand(file, request.size or (fit.rows if "rows" in side.get("fit", {}) else None))
    mean, std = _normalisation(request, side, graph, file)
    if graph.rule != "as it is":
        request.say(f"{file.name} gives no vector; the {graph.rule} '{graph.output_name}' is the embedding.")
    spec = Spec(
        name=request.name,
        weights=_hash(file, f"{graph.vector_output} {graph.map_output} {graph.rule}"),
        dim=graph.dim,
        fit=Fit(graph.rows, graph.cols, fit.mode, fit.crop_pct, fit.interpolation),
        mean=mean,
        std=std,
        map_channels=graph.map_channels,
        licence=str(side.get("licence", "not stated")),
    )
    return OpenVINOBackbone(
        file,
        spec,
        outputs=(0, 1 if graph.map_channels else None),
        channels_last=graph.channels_last,
        threads=request.threads,
        read=partial(read_graph, graph=graph),
    )


def _normalisation(request: Request, side: dict[str, Any], graph: Graph, file: Path) -> tuple[Triple, Triple]:
    if graph.integer:  # whole numbers from 0 to 255 go in: the graph normalises by itself
        return (0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)
    if not (request.mean or "mean" in side) or not (request.std or "std" in side):
        request.say(
            f"{file.name} says nothing of its preprocessing: ImageNet's mean and std are assumed. To set them, put "
            f"something like {_EXAMPLE} into {file.name}.json."
        )
    return request.mean or _triple(side, "mean", file), request.std or _triple(side, "std", file)


def _triple(side: dict[str, Any], key: Any, file: Path) -> Triple:
    values = side.get(key, getattr(Spec, key))
    try:
        first, second, third = (float(v) for v in values)
    except (TypeError, ValueError) as error:
        raise BackboneError(
            f"'{key}' beside {file} must be three numbers in [0, 1] units, not {values!r}."
        ) from error
    return first, second, third


def _side_file(file: Path) -> dict[str, Any]:
    for side in (file.with_name(file.name + ".json"), file.with_name("spec.json")):
        if side.is_file():
            try:
                found = json.loads(side.read_text(encoding="utf-8"))
                return dict(found.get("spec", found))
            except (ValueError, TypeError, AttributeError) as error:
                raise BackboneError(f"{side} must be a JSON object like {_EXAMPLE}: {error}") from error
    return {}


def _fit(side: dict[str, Any], file: Path) -> Fit:
    try:
        return Fit(**side.get("fit", {}))
    except (TypeError, InvalidInput) as error:
        raise BackboneError(
            f"'fit' beside {file} is not understood ({error}); an example: {_EXAMPLE}"
        ) from error


def _hash(file: Path, reading: str) -> str:
    digest = hashlib.sha256(reading.encode())
    for part in parts(file, ".data"):
        for chunk in chunks(part):
            digest.update(chunk)
    return digest.hexdigest()
