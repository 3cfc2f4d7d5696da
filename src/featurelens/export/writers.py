"""One writer per format; each returns how the written files embed pixels, read back as another program would."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from featurelens.backbone.bundle import SPEC
from featurelens.backbone.engine import load_openvino
from featurelens.backbone.openvino_backbone import OpenVINOBackbone
from featurelens.backbone.protocol import Spec
from featurelens.errors import BackboneError
from featurelens.shapes import Float32, UInt8

if TYPE_CHECKING:
    from featurelens.backbone.torch_backbone import TorchBackbone

Embed = Callable[[UInt8[np.ndarray, "batch row col 3"]], Float32[np.ndarray, "batch dim"]]
_BATCH = 32


def write_openvino(backbone: OpenVINOBackbone, folder: Path) -> Embed:
    """`model.xml` and `model.bin`: uint8 pixels [batch, row, col, 3] in, `embedding` and `map` out."""
    openvino = load_openvino()
    file = str(folder / "model.xml")
    openvino.save_model(backbone.graph(), file, compress_to_fp16=False)
    write_spec(backbone.spec, folder)
    request = (
        openvino.Core().compile_model(file, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
    )
    return lambda pixels: np.concatenate([request.infer([some])[0].copy() for some in _batches(pixels)])


def write_torch(backbone: TorchBackbone, folder: Path) -> Embed:
    """`model.pt2` (torch.export): uint8 pixels [batch, row, col, 3] in, embedding and map out, any batch size."""
    import torch

    from featurelens.backbone.to_onnx import quiet
    from featurelens.export.from_pixels import FromPixels

    fit, file = backbone.spec.fit, str(folder / "model.pt2")
    example = torch.zeros(2, fit.rows, fit.cols, 3, dtype=torch.uint8)
    sizes = ({0: torch.export.Dim("batch", min=1)},)
    try:
        with quiet(), torch.no_grad():
            program = torch.export.export(FromPixels(backbone).eval(), (example,), dynamic_shapes=sizes)
            torch.export.save(program, file)
            module = torch.export.load(file).module()
    except (RuntimeError, ValueError, TypeError) as error:
        told = " ".join(str(error).split())[:200]
        raise BackboneError(
            f"torch.export cannot write '{backbone.spec.name}' ({told}). Use --to onnx."
        ) from error
    write_spec(backbone.spec, folder)

    def embed(pixels: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            found = [module(torch.from_numpy(some)) for some in _batches(pixels)]
        return torch.cat([one[0] if isinstance(one, tuple) else one for one in found]).numpy()

    return embed


def write_safetensors(backbone: TorchBackbone, folder: Path) -> Embed:
    """`model.safetensors`; for a timm network with `config.json`, in the hub's layout that `local-dir:` reads."""
    from featurelens.backbone import load_backbone

    if hasattr(backbone.module, "pretrained_cfg"):
        from featurelens.backbone.timm_folder import write_timm_folder

        write_timm_folder(backbone.module, folder)
        write_spec(backbone.spec, folder)
        return load_backbone(f"local-dir:{folder}", engine="torch", device="cpu").embed
    from safetensors.torch import save_file

    weights = {name: tensor.contiguous() for name, tensor in backbone.module.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    write_spec(backbone.spec, folder)
    file = folder / "model.safetensors"
    return load_backbone(backbone.spec.name, engine="torch", device="cpu", weights=file).embed


def write_spec(spec: Spec, folder: Path) -> None:
    """`spec.json`: size, normalisation, dimension and licence, for the program that reads the network."""
    (folder / SPEC).write_text(json.dumps(spec.to_json(), indent=2) + "\n", encoding="utf-8")


def _batches(pixels: np.ndarray) -> Iterator[np.ndarray]:
    return (pixels[start : start + _BATCH] for start in range(0, len(pixels), _BATCH))
