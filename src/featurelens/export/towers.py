"""An OpenCLIP model as a `clip:` folder: both towers as ONNX, in the hub's layout, for machines without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featurelens.backbone.clip_folder import PREPROCESSING, TEXT, TOKENIZER, VISION
from featurelens.backbone.from_clip import open_clip_folder
from featurelens.backbone.protocol import Spec
from featurelens.errors import BackboneError
from featurelens.export.clip_tokenizer import tokenizer_json
from featurelens.export.writers import Embed

if TYPE_CHECKING:
    from featurelens.backbone.torch_backbone import TorchBackbone

_TEXTS = ("a red dress on a chair", "", "two dogs running along the beach at sunset", "ثوب أحمر", "👗 " * 60)
_LEAST = 0.9999


def write_clip(backbone: TorchBackbone, folder: Path) -> Embed:
    """Both towers, tokenizer and settings; BackboneError for a network without a text tower, or where one disagrees."""
    from featurelens.backbone.to_onnx import export_onnx

    texts: Any = getattr(backbone, "texts", None)
    if texts is None:
        raise BackboneError(
            f"to='clip' writes an image and a text tower, and '{backbone.spec.name}' has only images. Use to='onnx', or "
            "name openclip:ARCH/TAG."
        )
    net, tokenizer = texts.parts()
    (folder / "onnx").mkdir()
    export_onnx(backbone, folder / VISION)
    _write_text(net, tokenizer, folder / TEXT)
    (folder / TOKENIZER).write_text(tokenizer_json(tokenizer), encoding="utf-8")
    _write_settings(folder, backbone.spec, tokenizer)
    written = open_clip_folder(folder, name=f"clip:{folder}", threads=1)
    wanted, found = backbone.embed_text(_TEXTS), written.embed_text(_TEXTS)  # pyright: ignore[reportAttributeAccessIssue]
    lengths = np.linalg.norm(wanted, axis=1) * np.linalg.norm(found, axis=1)
    cosine = float(((wanted * found).sum(1) / np.maximum(lengths, 1e-30)).min())
    if not cosine >= _LEAST:
        raise BackboneError(
            f"The exported text tower of '{backbone.spec.name}' does not agree with torch: cosine {cosine:.5f}, expected "
            f"{_LEAST} or more."
        )
    return written.embed


def _write_text(net: Any, tokenizer: Any, file: Path) -> None:
    import torch

    from featurelens.backbone.to_onnx import quiet

    class Text(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, input_ids: Any) -> Any:
            return self.net.encode_text(input_ids)

    ids = tokenizer(["a red dress", "two dogs"])
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # its operator has no counterpart in ONNX
    try:
        with quiet(), torch.no_grad():
            torch.onnx.export(
                Text().eval(),
                (ids,),
                str(file),
                dynamo=False,
                dynamic_axes={name: {0: "batch"} for name in ("input_ids", "text_embeds")},
                input_names=["input_ids"],
                output_names=["text_embeds"],
            )
    except (torch.onnx.OnnxExporterError, RuntimeError, TypeError, ValueError) as error:
        told = " ".join(str(error).split())[:200]
        raise BackboneError(f"The text tower cannot be exported ({told}).") from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def _write_settings(folder: Path, spec: Spec, tokenizer: Any) -> None:
    fit, context = spec.fit, int(tokenizer.context_length)
    canonical = "canonical" in getattr(getattr(tokenizer, "clean_fn", None), "__name__", "")
    squash = fit.mode == "squash"
    size: dict[str, int] = {"height": fit.rows, "width": fit.cols}
    pixels = {
        "do_center_crop": not squash,
        "crop_size": size,
        "do_normalize": True,
        "do_resize": True,
        "image_mean": list(spec.mean),
        "image_std": list(spec.std),
        "resample": 2 if fit.interpolation == "bilinear" else 3,
        "size": size if squash else {"shortest_edge": round(min(fit.rows, fit.cols) / fit.crop_pct)},
    }
    inner = getattr(tokenizer, "tokenizer", None)
    kind = "siglip" if canonical else "clip"
    written = {
        "tokenizer_class": "SiglipTokenizer" if canonical else "CLIPTokenizer" if inner is None else "other"
    }
    files = {
        PREPROCESSING: pixels,
        "config.json": {"model_type": kind, "text_config": {"max_position_embeddings": context}},
        "tokenizer_config.json": written
        | {"model_max_length": context, "pad_token": getattr(inner, "pad_token", None)},
    }
    for name, value in files.items():
        (folder / name).write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    if spec.licence != "not stated":
        (folder / "README.md").write_text(f"---\nlicense: {spec.licence}\n---\nMade from {spec.name}.\n")
