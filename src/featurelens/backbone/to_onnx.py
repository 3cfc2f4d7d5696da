"""A torch backbone as a bundle, accepted only when both engines give the same vectors."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from featurelens.backbone.bundle import write_bundle
from featurelens.backbone.noise import structured_noise
from featurelens.backbone.openvino_backbone import OpenVINOBackbone
from featurelens.backbone.torch_backbone import TorchBackbone
from featurelens.errors import BackboneError, MissingExtra

LEAST_COSINE = 0.9999
_EXPORT_ERRORS = (
    torch.onnx.OnnxExporterError,
    RuntimeError,
    TypeError,
    ValueError,
    AttributeError,
    KeyError,
    IndexError,
    AssertionError,
)


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


def export_bundle(
    backbone: TorchBackbone,
    folder: Path,
    *,
    weights: bool = False,
    edit: Callable[[Path], object] | None = None,
    about: Mapping[str, Any] | None = None,
    replace_whole: bool = True,
) -> Parity:
    """Write the bundle of a CPU torch backbone and return its parity; BackboneError if it does not agree.

    With `weights` the bundle also holds `model.safetensors`, so that engine="torch" can load it again.
    `edit` may change the ONNX file (say, store its weights in half precision) before it is compared. `about` is
    kept in `spec.json`; its `classes` are the names of the classes that the network was given. `replace_whole` is
    that of `write_bundle`.
    """
    for package in ("onnx", "onnxscript"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtra(package, "lab", f"Exporting '{backbone.spec.name}' for the CPU engine")
    made: dict[str, Any] = {"network": backbone.identity.partition(" ")[0], "identity": backbone.identity}
    made |= about or {}

    def write_model(file: Path) -> None:
        found = export_onnx(backbone, file, edit=edit)
        made.update(cosine=found.cosine, difference=found.difference)

    def write_weights(file: Path) -> None:
        from safetensors.torch import save_file

        save_file(
            {name: tensor.clone().contiguous() for name, tensor in backbone.module.state_dict().items()}, file
        )

    write_bundle(
        folder,
        backbone.spec,
        write_model,
        write_weights=write_weights if weights else None,
        made=made,
        replace_whole=replace_whole,
    )
    return Parity(made["cosine"], made["difference"])


def export_onnx(
    backbone: TorchBackbone, file: Path, *, edit: Callable[[Path], object] | None = None
) -> Parity:
    """Write the network as ONNX (any batch size, outputs `embedding` and `map`), and compare both engines.

    torch's exporter is tried first, then its older, tracing one; BackboneError tells what stopped both.
    """
    outputs = (0, 1 if backbone.spec.map_channels else None)
    problems = []
    for dynamo in (True, False):
        try:
            with quiet(), torch.no_grad():
                _export(backbone, file, dynamo=dynamo)
            if edit is not None:
                edit(file)
            return parity(backbone, OpenVINOBackbone(file, backbone.spec, outputs=outputs, threads=1))
        except BackboneError as error:
            problems.append(str(error))
        except _EXPORT_ERRORS as error:
            problems.append(" ".join(f"{type(error).__name__}: {error}".split())[:200])
    raise BackboneError(
        f"'{backbone.spec.name}' cannot be exported for the CPU engine ({' | '.join(problems)}). "
        "Load it with engine='torch'."
    )


def parity(reference: TorchBackbone, exported: OpenVINOBackbone) -> Parity:
    """Compare embeddings and maps of seeded images, together and alone; BackboneError below a cosine of .9999."""
    pixels = structured_noise(reference.spec.fit)
    wanted = reference.embed(pixels)
    pairs = [(wanted, exported.embed(pixels)), (wanted[:1], exported.embed(pixels[:1]))]
    if reference.spec.map_channels:
        pairs.append((_rows(reference.maps(pixels)), _rows(exported.maps(pixels))))
    found = Parity(min(_cosine(a, b) for a, b in pairs), max(_difference(a, b) for a, b in pairs))
    if not found.cosine >= LEAST_COSINE:
        raise BackboneError(
            f"the exported network does not agree with torch: cosine {found.cosine:.5f}, expected {LEAST_COSINE} "
            "or more"
        )
    return found


def _rows(maps: np.ndarray) -> np.ndarray:
    return maps.reshape(len(maps), -1)


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(((a * b).sum(1) / np.maximum(norms, 1e-30)).min())


def _difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-30))


def _export(backbone: TorchBackbone, file: Path, *, dynamo: bool) -> None:
    fit = backbone.spec.fit
    example = torch.rand(2, 3, fit.rows, fit.cols)
    outputs = ["embedding", "map"] if backbone.spec.map_channels else ["embedding"]
    module = _Exportable(backbone).eval()
    if not dynamo:
        axes = {name: {0: "batch"} for name in ["pixels", *outputs]}
        torch.onnx.export(
            module,
            (example,),
            str(file),
            dynamo=False,
            dynamic_axes=axes,
            input_names=["pixels"],
            output_names=outputs,
        )
        return
    program = torch.onnx.export(
        module,
        (example,),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
        input_names=["pixels"],
        output_names=outputs,
        verbose=False,
    )
    assert program is not None
    _forget_sources(program.model)
    program.save(file)  # above 2 GB the weights go into a second file beside it


def _forget_sources(model: Any) -> None:
    """Take out the lines of Python behind each node, and with them the paths of this machine."""
    model.metadata_props.clear()
    for graph in (model.graph, *model.functions.values()):
        graph.metadata_props.clear()
        for node in graph.all_nodes():
            node.metadata_props.clear()
            for value in node.outputs:
                value.metadata_props.clear()


@contextmanager
def quiet() -> Iterator[None]:
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
