"""An ONNX network in int8 (post-training quantisation by NNCF), kept only if neighbours stay neighbours."""

from __future__ import annotations

import importlib.util
import io
import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from featurelens.backbone.engine import without_telemetry
from featurelens.backbone.half import widen_weights
from featurelens.backbone.onnx_files import parts
from featurelens.backbone.onnx_write import write_onnx
from featurelens.backbone.protocol import Spec
from featurelens.errors import MissingExtra
from featurelens.shapes import UInt8

LEAST_OVERLAP = 0.95
PRECISION = "int8"
SHARES = (0.0, 0.15, 0.35, 0.6)  # of the layers, from the image on, that stay in float32
_WEIGHTED = ("Conv", "MatMul", "Gemm")


def quantise(
    source: Path,
    target: Path,
    spec: Spec,
    pixels: UInt8[np.ndarray, "image row col 3"],
    *,
    overlap: Callable[[Path], float],
    say: Callable[[str], None],
) -> tuple[float, int]:
    """Write `source`, an ONNX network of normalised images, to `target` in int8: (overlap, layers left in float32).

    `pixels` calibrate the ranges. `overlap` judges a file; while it says less than .95, the depthwise
    convolutions and more and more of the first layers, whose errors all later ones inherit, stay in float32.
    The best try is kept, and it is for the caller to refuse it. Weights that do not fit into one ONNX file lie in
    TARGET.data beside it. Raises MissingExtra without nncf.

    Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference"
    (2018); SmoothQuant (Xiao et al., 2023) for attention.
    """
    for package in ("onnx", "onnxruntime", "nncf"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtra(package, "export", "An int8 network")
    import onnx

    model = onnx.load(str(source))
    widen_weights(model)
    layers = _layers(model)
    best, best_left = -1.0, 0
    with tempfile.TemporaryDirectory(prefix=".int8-", dir=target.parent) as name:
        wide, part = Path(name) / "wide.onnx", Path(name) / target.name
        write_onnx(model, wide)
        for kept in dict.fromkeys(_kept(layers, share) for share in SHARES):
            write_onnx(_quantised(wide, spec, pixels, list(kept)), part)
            found = overlap(part)
            say(
                f"int8, {len(kept)} of {len(layers)} layers in float32: {found:.3f} of the 5 nearest the same"
            )
            if found > best:
                _keep(part, target)
                best, best_left = found, len(kept)
            if best >= LEAST_OVERLAP:
                break
    return best, best_left


def _keep(part: Path, target: Path) -> None:
    for old in parts(target, ".data"):
        old.unlink()
    for one in parts(part, ".data"):  # the graph names its side file, so both keep their names
        one.rename(target.with_name(one.name))


def _layers(model: Any) -> dict[str, bool]:
    """The nodes with weights, in the order in which they run, and whether each is a depthwise convolution.

    Nameless ones get names.
    """
    constants = {item.name for item in model.graph.initializer}
    found = {}
    for number, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{number}"
        if node.op_type in _WEIGHTED and any(name in constants for name in node.input):
            found[node.name] = any(one.name == "group" and one.i > 1 for one in node.attribute)
    return found


def _kept(layers: dict[str, bool], share: float) -> tuple[str, ...]:
    """The layers that stay in float32: this share of the first ones, and if it is not 0 the depthwise ones."""
    first = set(list(layers)[: round(share * len(layers))])
    return tuple(name for name, depthwise in layers.items() if name in first or (share and depthwise))


def _quantised(file: Path, spec: Spec, pixels: np.ndarray, kept: list[str]) -> Any:
    import onnx

    model = onnx.load(
        str(file), load_external_data=False
    )  # NNCF takes weights of more than 2 GB from their file only
    with _hushed():
        import nncf
        from nncf.onnx.quantization.backend_parameters import BackendParameters
        from nncf.quantization import range_estimator as of

        attention = any(node.op_type == "Softmax" for node in model.graph.node)
        name = model.graph.input[0].name
        batches = nncf.Dataset([_normalised(one[None], spec) for one in pixels], lambda x: {name: x})
        return nncf.quantize(
            model,
            batches,
            subset_size=len(pixels),
            preset=nncf.QuantizationPreset.MIXED,  # asymmetric activations: other functions than ReLU are common
            model_type=nncf.ModelType.TRANSFORMER if attention else None,
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                backend_params={BackendParameters.EXTERNAL_DATA_DIR: str(file.parent.resolve())},
                activations_range_estimator_params=of.RangeEstimatorParameters()
                if attention
                else of.RangeEstimatorParametersSet.HISTOGRAM,  # better than the extremes, for convolutions
            ),
            ignored_scope=nncf.IgnoredScope(names=kept),
        )


def _normalised(pixels: np.ndarray, spec: Spec) -> np.ndarray:
    mean, std = (np.array(values, np.float32) for values in (spec.mean, spec.std))
    x = (pixels.astype(np.float32) / 255 - mean) / std
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2))


@contextmanager
def _hushed() -> Iterator[None]:
    """NNCF without its event to a web service, remarks and progress bars, and torch's about CUDA's compiler."""
    loggers = [logging.getLogger(name) for name in ("nncf", "torch.utils.cpp_extension")]
    levels = [logger.level for logger in loggers]
    with without_telemetry(), redirect_stdout(io.StringIO()):
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
