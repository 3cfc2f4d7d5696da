"""A bundle made from a bundle: the same network as it is, with half-precision weights, or in int8."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from featurelens.backbone.bundle import SPEC, open_bundle, read_bundle, write_bundle
from featurelens.backbone.half import PRECISION as HALF
from featurelens.backbone.half import halve_weights
from featurelens.backbone.onnx_files import parts
from featurelens.backbone.openvino_backbone import OpenVINOBackbone
from featurelens.backbone.protocol import Backbone
from featurelens.errors import BackboneError
from featurelens.export.agreement import agreement
from featurelens.export.quantise import LEAST_OVERLAP, PRECISION, quantise
from featurelens.export.writers import Embed
from featurelens.shapes import Float32, UInt8

LEAST_COSINE = 0.9999


def write_small_bundle(
    source: Backbone,
    folder: Path,
    fp16: bool,
    calibrate: UInt8[np.ndarray, "image row col 3"] | None,
    judged: UInt8[np.ndarray, "image row col 3"],
    wanted: Float32[np.ndarray, "image dim"],
    *,
    say: Callable[[str], None],
) -> tuple[Embed, int]:
    """Write the bundle and say how it embeds, and how many layers int8 left out.

    `calibrate`: pixels for int8, or None. `wanted`: the original's embeddings of `judged`. Raises BackboneError
    where int8 moves too many neighbours, or half precision a vector.
    """
    if not isinstance(source, OpenVINOBackbone) or not (source.file.parent / SPEC).is_file():
        raise BackboneError(
            f"'{source.spec.name}' is no bundle and no network from timm or torchvision, so there is no graph to "
            "write. An ONNX file can be written with to='openvino'."
        )
    told = read_bundle(source.file.parent).made
    left = 0
    spec = replace(
        source.spec, precision=HALF if fp16 else PRECISION if calibrate is not None else source.spec.precision
    )

    def overlap(file: Path) -> float:
        tried = OpenVINOBackbone(file, spec, outputs=(0, None))
        return agreement(wanted, tried.embed(judged)).neighbours or 0.0

    def write(file: Path) -> None:
        nonlocal left
        if calibrate is None:
            for part in parts(source.file, ".data"):  # above 2 GB the weights lie beside the graph
                copy = file.parent / part.relative_to(source.file.parent)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(part, copy)
            if fp16:
                halve_weights(file)
            return
        found, left = quantise(source.file, file, source.spec, calibrate, overlap=overlap, say=say)
        if found < LEAST_OVERLAP:
            raise BackboneError(
                f"int8 would move too many neighbours of '{source.spec.name}': with {left} layers left in float32 "
                f"{found:.3f} of the 5 nearest stay the same, {LEAST_OVERLAP} are asked for. Use --fp16, or more "
                "and more varied images."
            )

    write_bundle(folder, spec, write, made={**told, "made from": source.spec.name})
    small = open_bundle(folder)
    if fp16 and (found := agreement(wanted, small.embed(judged))).cosine < LEAST_COSINE:
        raise BackboneError(f"Half precision changes the vectors of '{source.spec.name}' too much: {found}.")
    return small.embed, left
