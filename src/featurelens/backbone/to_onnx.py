"""A torch backbone as a bundle, accepted only when both engines give the same vectors."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from featurelens.backbone.bundle import MODEL, write_bundle
from featurelens.backbone.openvino_backbone import OpenVINOBackbone
from featurelens.backbone.torch_backbone import TorchBackbone
from featurelens.errors import BackboneError, MissingExtra
from featurelens.shapes import UInt8

LEAST_COSINE = 0.9999


@dataclass(frozen=True)
class Parity:
    """How far an exported network is from its torch original: least cosine, largest relative difference."""

    cosine: float
    difference: float


class _Exportable(nn.Module):
    def __init__(self, backbone: TorchBackbone) -> None:
        super().__init__()
        self.network = backbone.module
        self._backbone = backbone

    def forward(self, pixels: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        features = self._backbone.forward_features(pixels)
        embedding = self._backbone.pool(features)
        if not self._backbone.spec.map_channels:
            return embedding
        return embedding, self._backbone.to_map(features)


def export_bundle(backbone: TorchBackbone, folder: Path) -> Parity:
    """Write the bundle of a CPU torch backbone and return its parity; BackboneError if it does not agree."""
    for package in ("onnx", "onnxscript"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtra(package, "lab", f"Exporting '{backbone.spec.name}' for the CPU engine")
    measured: list[Parity] = []

    def write(file: Path) -> None:
        _export(backbone, file)
        outputs = (0, 1 if backbone.spec.map_channels else None)
        measured.append(parity(backbone, OpenVINOBackbone(file, backbone.spec, outputs=outputs, threads=1)))

    write_bundle(folder, backbone.spec, write)
    return measured[0]


def parity(reference: TorchBackbone, exported: OpenVINOBackbone) -> Parity:
    """Compare embeddings of seeded images; BackboneError below a cosine of 0.9999."""
    pixels = _test_images(reference)
    a, b = reference.embed(pixels), exported.embed(pixels)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosine = float(((a * b).sum(1) / np.maximum(norms, 1e-30)).min())
    found = Parity(cosine, float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-30)))
    if not found.cosine >= LEAST_COSINE:
        raise BackboneError(
            f"The exported '{reference.spec.name}' does not agree with torch (cosine {found.cosine:.5f}, expected "
            f"{LEAST_COSINE} or more), so it is not used. Load it with engine='torch'."
        )
    return found


def _export(backbone: TorchBackbone, file: Path) -> None:
    fit = backbone.spec.fit
    example = torch.rand(2, 3, fit.rows, fit.cols)
    outputs = ["embedding", "map"] if backbone.spec.map_channels else ["embedding"]
    with _quiet(), torch.no_grad():
        try:
            program = torch.onnx.export(
                _Exportable(backbone).eval(),
                (example,),
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
                input_names=["pixels"],
                output_names=outputs,
                verbose=False,
            )
        except (torch.onnx.OnnxExporterError, RuntimeError, TypeError) as error:
            raise BackboneError(
                f"'{backbone.spec.name}' cannot be exported for the CPU engine ({str(error).splitlines()[0]}). "
                "Load it with engine='torch'."
            ) from error
    assert program is not None
    program.save(file)
    if not file.is_file():
        raise BackboneError(f"The exporter wrote no {MODEL}.")


def _test_images(backbone: TorchBackbone) -> UInt8[np.ndarray, "4 row col 3"]:
    """Four images with structure at every scale (noise summed over octaves), the same each time."""
    random, fit = np.random.default_rng(0), backbone.spec.fit
    total = np.zeros((4, fit.rows, fit.cols, 3))
    for step in (2, 8, 32):
        coarse = random.normal(size=(4, fit.rows // step + 1, fit.cols // step + 1, 3))
        total += np.repeat(np.repeat(coarse, step, 1), step, 2)[:, : fit.rows, : fit.cols]
    return (127 + 40 * total).clip(0, 255).astype(np.uint8)


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's remarks are for its developers; ours is the parity check."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
