"""`export`: from the name of a backbone to files for other programs, compared with what they were made from."""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from featurelens.backbone import load_backbone
from featurelens.backbone.bundle import read_spec
from featurelens.backbone.protocol import Backbone
from featurelens.errors import InvalidInput
from featurelens.export import writers
from featurelens.export.agreement import Agreement, agreement
from featurelens.export.bundles import write_small_bundle
from featurelens.export.pictures import pictures
from featurelens.export.towers import write_clip
from featurelens.export.writers import Embed
from featurelens.shapes import Float32, UInt8

LEAST_IMAGES = 100  # for int8: half of them calibrate, half of them judge
_PIECE = 32  # images
_WRITERS: dict[str, tuple[Any, str]] = {
    "onnx": (None, "openvino"),
    "openvino": (writers.write_openvino, "openvino"),
    "safetensors": (writers.write_safetensors, "torch"),
    "torch": (writers.write_torch, "torch"),
    "clip": (write_clip, "torch"),
}


@dataclass(frozen=True)
class Exported:
    """What was written: folder, format, precision, bytes, how it agrees with the original.

    `left`: how many layers of an int8 network stay in float32, 0 otherwise.
    """

    folder: Path
    format: str
    precision: str
    bytes: int
    parity: Agreement
    left: int = 0


def export(
    backbone: str,
    out: str | os.PathLike[str],
    *,
    to: str = "onnx",
    fp16: bool = False,
    int8: bool = False,
    images: str | os.PathLike[str] | None = None,
    limit: int = 600,
    pretrained: bool = True,
    say: Callable[[str], None] | None = None,
) -> Exported:
    """Write a backbone, by its name, into the new folder `out`, and compare it with the original.

    `to`: "onnx" is a bundle, which `bundle:DIR` and any ONNX runtime read; "openvino" and "torch" (torch.export)
    take uint8 pixels, normalisation included; "safetensors" is the hub's layout, "clip" an OpenCLIP model with its text tower
    for `clip:DIR`. `fp16` stores the weights of
    a bundle in half precision. `int8` computes in int8, calibrated on half of at most `limit` of the user's
    `images`, and is refused unless .95 of the 5 nearest neighbours are the same on the other half. Without
    `images` the comparison is over noise. Raises InvalidInput, BackboneError, MissingExtra; then nothing is
    written.

    >>> export("embedded", "small", int8=True, images="photos")  # doctest: +SKIP
    """
    folder = Path(out)
    _check(folder, to, fp16, int8, images)
    say = say or _to_stderr
    write, engine = _WRITERS[to]
    source: Any = load_backbone(backbone, engine=engine, device="cpu", pretrained=pretrained, say=say)  # type: ignore[arg-type]
    pixels = pictures(images, source.spec.fit, limit)
    if int8 and len(pixels) < LEAST_IMAGES:
        raise InvalidInput(
            f"int8 needs {LEAST_IMAGES} images or more, half of them to calibrate and half to judge; {images} holds "
            f"{len(pixels)} that can be read."
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as part:
        made, left = Path(part) / "made", 0
        judged = pixels[len(pixels) // 2 :] if int8 else pixels
        reference = _reference(backbone, source, pretrained, say)
        wanted = _in_pieces(reference.embed, judged)
        if to == "onnx":
            calibrate = pixels[: len(pixels) // 2] if int8 else None
            embed, left = write_small_bundle(source, made, fp16, calibrate, judged, wanted, say=say)
        else:
            made.mkdir()
            embed = write(source, made)
        parity = agreement(wanted, _in_pieces(embed, judged))
        made.rename(folder)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    spec = read_spec(folder) if to == "onnx" else source.spec
    return Exported(folder, to, spec.precision, size, parity, left)


def _check(folder: Path, to: str, fp16: bool, int8: bool, images: object) -> None:
    if to not in _WRITERS:
        raise InvalidInput(f"There is no format '{to}'. Known: {', '.join(_WRITERS)}.")
    if (fp16 or int8) and to != "onnx":
        raise InvalidInput(
            f"fp16 and int8 are for a bundle (to='onnx'), not for to='{to}'. Leave one of them out."
        )
    if fp16 and int8:
        raise InvalidInput(
            "Give fp16 or int8, not both: int8 weights are smaller than half precision already."
        )
    if int8 and images is None:
        raise InvalidInput(
            "int8 is calibrated and judged on your own images: give a folder of them (images=DIR)."
        )
    if folder.exists():
        raise InvalidInput(f"{folder} is there already, and nothing is overwritten. Give a new folder.")


def _reference(name: str, source: Backbone, pretrained: bool, say: Callable[[str], None]) -> Backbone:
    """The network on torch where it comes from there and torch is installed; else as the CPU engine runs it."""
    scheme = name.partition(":")[0] if ":" in name else "embedded" if name == "embedded" else "timm"
    if scheme not in ("timm", "torchvision", "local-dir") or importlib.util.find_spec("torch") is None:
        return source
    return load_backbone(name, engine="torch", device="cpu", pretrained=pretrained, say=say)


def _in_pieces(
    embed: Embed, pixels: UInt8[np.ndarray, "image row col 3"]
) -> Float32[np.ndarray, "image dim"]:
    """All embeddings, a few images at a time: torch holds the activations of a whole batch at once."""
    return np.concatenate([embed(pixels[at : at + _PIECE]) for at in range(0, len(pixels), _PIECE)])


def _to_stderr(text: str) -> None:
    sys.stderr.write(text + "\n")
