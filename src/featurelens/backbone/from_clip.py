"""`clip:REPO` and `clip:FOLDER`: image and text in one space, without torch, from the hub's ONNX layout."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from featurelens.backbone.clip_backbone import ClipBackbone
from featurelens.backbone.clip_folder import ALSO, NEEDED, read_clip_folder
from featurelens.backbone.hub_folder import hub_files
from featurelens.backbone.openvino_backbone import OpenVINOBackbone
from featurelens.backbone.protocol import Spec
from featurelens.backbone.request import Request, free_cores
from featurelens.backbone.text_tower import TextTower
from featurelens.backbone.two_towers import read_vision
from featurelens.errors import BackboneError


def load(request: Request) -> ClipBackbone:
    """The two towers of a folder, or of a repository of the hub, which is fetched once and told before.

    Raises BackboneError for what is no such folder, cannot be had, or does not fit together; MissingExtra without
    `tokenizers` (at the first text) or `huggingface_hub`.
    """
    request.refuse(
        "A clip: backbone",
        size=request.size, weights=request.weights, mean=request.mean, std=request.std,
    )  # fmt: skip
    if request.engine == "torch":
        raise BackboneError(
            "A clip: backbone runs on OpenVINO; engine='torch' needs openclip:ARCH/TAG (extra text)."
        )
    if Path(request.rest).is_dir():
        folder = Path(request.rest)
    elif Path(request.rest).is_absolute() or request.rest.startswith((".", "~")):
        raise BackboneError(
            f"There is no folder {request.rest}. Give a folder in the hub's ONNX layout, or the name of a "
            "repository such as Xenova/clip-vit-base-patch32."
        )
    else:
        folder = hub_files(request.rest, NEEDED, ALSO, name=request.name, say=request.say)
    return open_clip_folder(folder, name=request.name, threads=request.threads)


def open_clip_folder(folder: Path, *, name: str, threads: int | None = None) -> ClipBackbone:
    """The backbone in a folder of the hub's ONNX layout, under the name that the user typed."""
    found = read_clip_folder(folder)
    read = partial(read_vision, rows=found.fit.rows, cols=found.fit.cols)
    model = read(found.vision)
    dim, *channels = (one.partial_shape[1].get_length() for one in model.outputs)
    spec = Spec(
        name=name,
        weights=found.digest(),
        dim=dim,
        fit=found.fit,
        mean=found.mean,
        std=found.std,
        map_channels=channels[0] if channels else 0,
        licence=found.licence,
        text=True,
    )
    outputs = (0, 1 if channels else None)
    images = OpenVINOBackbone(found.vision, spec, outputs=outputs, threads=threads, read=read)
    cores = threads or free_cores()
    return ClipBackbone(images, TextTower(found.text, found.tokenizer, found.rules, dim=dim, threads=cores))
