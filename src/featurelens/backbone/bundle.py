"""A backbone as a folder: `model.onnx` (outputs embedding and map), `spec.json`. No torch is needed to run it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from featurelens.backbone.openvino_backbone import OpenVINOBackbone
from featurelens.backbone.protocol import Spec
from featurelens.backbone.request import Request
from featurelens.errors import BackboneError

MODEL, SPEC = "model.onnx", "spec.json"


def load(request: Request) -> OpenVINOBackbone:
    """`bundle:DIR`; BackboneError if the folder is not a bundle or is damaged."""
    request.refuse("A bundle", size=request.size, weights=request.weights, mean=request.mean, std=request.std)
    if request.engine == "torch":
        raise BackboneError(
            f"{request.name} is an exported graph without layers or gradients, which engine='torch' needs. "
            "Load the network that it was exported from."
        )
    return open_bundle(Path(request.rest).expanduser(), threads=request.threads, name=request.name)


def open_bundle(folder: Path, *, threads: int | None = None, name: str | None = None) -> OpenVINOBackbone:
    """The backbone in a bundle folder, under the name that the user typed."""
    spec = read_spec(folder)
    if name is not None:
        spec = replace(spec, name=name)
    outputs = (0, 1 if spec.map_channels else None)
    return OpenVINOBackbone(folder / MODEL, spec, outputs=outputs, threads=threads)


def read_spec(folder: Path) -> Spec:
    """The spec of a bundle, without loading its network."""
    missing = [name for name in (MODEL, SPEC) if not (folder / name).is_file()]
    if missing:
        what = f"it holds no {' and no '.join(missing)}" if folder.is_dir() else "there is no such folder"
        raise BackboneError(f"{folder} is not a bundle: {what}. 'featurelens export' or load_backbone makes one.")
    try:
        return Spec.from_json(json.loads((folder / SPEC).read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError) as error:
        raise BackboneError(f"{folder / SPEC} is damaged: {error}. Make the bundle again.") from error


def write_bundle(folder: Path, spec: Spec, write_model: Callable[[Path], object]) -> None:
    """Make a bundle in a temporary folder beside `folder` and rename it: it is whole or not there.

    `write_model` gets the path of the ONNX file to write.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        write_model(part / MODEL)
        (part / SPEC).write_text(json.dumps(spec.to_json(), indent=2) + "\n", encoding="utf-8")
        part.chmod(0o755)
        try:
            os.rename(part, folder)
        except OSError:
            if not (folder / SPEC).is_file():
                raise
            # another process made the same bundle meanwhile: it stays
    finally:
        shutil.rmtree(part, ignore_errors=True)
