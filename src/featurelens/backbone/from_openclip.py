"""`openclip:ARCH/TAG` and `openclip:FOLDER`: OpenCLIP's models, the image tower on any engine, the text tower on torch."""

from __future__ import annotations

import importlib.util
import warnings
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featurelens.backbone import hub
from featurelens.backbone.clip_backbone import ClipBackbone
from featurelens.backbone.openclip_texts import OpenClipTexts
from featurelens.backbone.openvino_backbone import OpenVINOBackbone
from featurelens.backbone.protocol import Backbone, Spec
from featurelens.backbone.request import Request
from featurelens.errors import BackboneError, MissingExtra
from featurelens.images.fit import Fit, Interpolation

if TYPE_CHECKING:
    from featurelens.backbone.torch_backbone import TorchBackbone

CONFIG = "open_clip_config.json"


def load(request: Request) -> Backbone:
    """A TextBackbone; the image tower is exported for the CPU engine at its first use, as every network of torch.

    Raises UnknownName with close matches, BackboneError for weights that cannot be had, MissingExtra.
    """
    from featurelens.backbone import torch_source

    request.refuse("An openclip: backbone", size=request.size, mean=request.mean, std=request.std)
    images = torch_source.load(request)
    if not isinstance(images, OpenVINOBackbone):
        return images  # on torch: `build` has given it its texts
    return ClipBackbone(
        images, _texts(request, images.spec, partial(network, replace(request, device="cpu")))
    )


def build(request: Request) -> TorchBackbone:
    """The image tower on torch; `embed_text` runs the text tower of the same model."""
    import open_clip

    from featurelens.backbone.openclip_steps import steps
    from featurelens.backbone.torch_backbone import TorchBackbone, pick_device

    device = pick_device(request.device)
    net = network(request).to(device)
    told: dict[str, Any] = open_clip.model.get_model_preprocess_cfg(net)
    net.visual.num_classes = 0  # it has no classifier
    features, pool = steps(net.visual)
    spec = Spec(
        name=request.name,
        weights="",
        dim=0,
        fit=_fit(told),
        mean=tuple(told["mean"]),
        std=tuple(told["std"]),
        licence="not stated",
        text=True,
    )
    identity = f"openclip:{type(net.visual).__name__} {request.rest if not _folder(request) else ''}"
    found = TorchBackbone(
        net.visual,
        spec,
        features=features,
        pool=pool,
        device=device,
        identity=identity,
        precision=request.precision,
    )
    texts = _texts(request, found.spec, lambda: net)
    held: Any = found  # a TextBackbone for what it holds, and only then
    held.texts, held.embed_text = texts, texts.embed
    return found


def network(request: Request) -> Any:
    """OpenCLIP's own model with its weights, in eval mode on the CPU; random ones are the same each time."""
    if importlib.util.find_spec("open_clip") is None:
        raise MissingExtra("open_clip", "text", f"The network '{request.name}'")
    import open_clip
    import torch

    from featurelens.backbone.openclip_weights import tagged, weights_file

    options: dict[str, Any] = {}
    if folder := _folder(request):
        name = f"local-dir:{folder}"
        options["load_weights"] = own = request.pretrained and request.weights is None
        if own and not any(one.suffix in (".safetensors", ".bin", ".pth") for one in folder.iterdir()):
            raise BackboneError(
                f"{folder} holds no weights (open_clip_model.safetensors). Copy them there, give weights=FILE, or take "
                "random ones with pretrained=False."
            )
    else:
        name, tag = tagged(request)
        if tag:
            told: dict[str, Any] = open_clip.get_pretrained_cfg(name, tag)
            known = {one.name for one in fields(open_clip.transform.PreprocessCfg)}
            options["force_preprocess_cfg"] = {k: v for k, v in told.items() if k in known}
            options["force_quick_gelu"] = bool(told.get("quick_gelu"))
            if request.pretrained and request.weights is None:
                options["pretrained"] = str(weights_file(name, tag, request))
    if request.weights is not None and not folder:
        options["pretrained"] = str(request.weights)
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings(), hub.plain_errors(request.name):
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        try:
            net: Any = open_clip.create_model(name, pretrained_text=False, **options)
        except ValueError as error:
            raise BackboneError(f"'{request.name}' cannot be made: {error}") from error
        if request.weights is not None and folder:
            open_clip.load_checkpoint(net, str(request.weights))
    return net.eval()


def _folder(request: Request) -> Path | None:
    folder = Path(request.rest)
    if not folder.is_dir():
        if folder.is_absolute():
            raise BackboneError(
                f"There is no folder {folder}. Give a folder with {CONFIG}, or openclip:ARCH/TAG."
            )
        return None
    if not (folder / CONFIG).is_file():
        raise BackboneError(
            f"{folder} holds no {CONFIG}. An openclip: folder is as open_clip saves it: {CONFIG} and "
            "open_clip_model.safetensors. A folder with onnx/ in it is a clip: folder."
        )
    return folder


def _texts(request: Request, spec: Spec, net: Any) -> OpenClipTexts:
    def tokenizer() -> Any:
        import open_clip

        folder = _folder(request)
        name = f"local-dir:{folder}" if folder else request.rest.rpartition("/")[0] or request.rest
        with hub.plain_errors(request.name):
            try:
                return open_clip.get_tokenizer(name)
            except (ImportError, AttributeError, TypeError) as error:  # HFTokenizer without transformers
                raise BackboneError(
                    f"The tokenizer of '{request.name}' comes from the package transformers, which is not here or does "
                    f"not read it ({str(error)[:160]}): pip install transformers, or use the model's clip: folder."
                ) from error

    return OpenClipTexts(net, tokenizer, dim=spec.dim, name=request.name)


def _fit(told: dict[str, Any]) -> Fit:
    size = told["size"]
    rows, cols = (size, size) if isinstance(size, int) else size
    kind: Interpolation = "bilinear" if told.get("interpolation") == "bilinear" else "bicubic"
    return Fit(rows, cols, "squash" if told.get("resize_mode") == "squash" else "crop", 1.0, kind)
