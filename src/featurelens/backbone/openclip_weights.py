"""Where the weights of an OpenCLIP model lie, and what is said before they are fetched."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import open_clip
import torch

from featurelens.backbone import hub
from featurelens.backbone.request import Request
from featurelens.catalog import unknown
from featurelens.errors import BackboneError

_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


def tagged(request: Request) -> tuple[str, str | None]:
    """(architecture, tag) of `ARCH/TAG`; UnknownName with close matches, BackboneError where the tag is missing."""
    architecture, _, tag = request.rest.rpartition("/")
    if not architecture:
        architecture, tag = tag, ""
    known = open_clip.list_models()
    if architecture not in known:
        raise unknown(
            "OpenCLIP architecture", architecture, known, hint="Write openclip:ARCH/TAG or openclip:FOLDER."
        )
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    if not tag and request.pretrained and request.weights is None:
        raise BackboneError(
            f"'{request.name}' names no trained weights. Write openclip:{architecture}/TAG with one of the tags "
            f"{', '.join(tags) or '(there are none for this one)'}, or give weights=FILE, or pretrained=False."
        )
    if tag and tag not in tags:
        raise unknown(f"tag of {architecture}", tag, tags)
    return architecture, tag or None


def weights_file(architecture: str, tag: str, request: Request) -> Path:
    """The weights, from the hub's cache or fetched after saying name, size and licence; BackboneError if not."""
    told: dict[str, Any] = open_clip.get_pretrained_cfg(architecture, tag)
    repo, file = _hub_place(told)
    if repo:
        for name in [file] if file else _FILES:
            if (found := hub.cached_file(repo, name)) is not None:
                return found
    hub.check_reachable(request.name)
    source = repo or urlsplit(told.get("url", "")).hostname or "its publisher"
    hub.announce(request.name, _megabytes(architecture), source, _licence(repo), request.say)
    with hub.plain_errors(request.name):
        return Path(open_clip.download_pretrained(told))


def _hub_place(told: dict[str, Any]) -> tuple[str, str]:
    parts = str(told.get("hf_hub") or "").split("/")
    return "/".join(parts[:2]) if len(parts) > 1 else "", "/".join(parts[2:])


def _megabytes(architecture: str) -> float | None:
    try:
        with torch.device("meta"):
            model = open_clip.create_model(
                architecture, pretrained=None, pretrained_text=False, device="meta"
            )
    except (RuntimeError, NotImplementedError, OSError, ImportError):
        return None
    return sum(p.numel() * p.element_size() for p in model.parameters()) / 1e6


def _licence(repo: str) -> str | None:
    """What the model's page on the hub says; None where it cannot be asked."""
    if not repo:
        return None
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        card = HfApi().model_info(repo, timeout=5).card_data
    except (HfHubHTTPError, OSError, ValueError):
        return None
    return getattr(card, "license", None)
