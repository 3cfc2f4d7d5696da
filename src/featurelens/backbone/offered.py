"""The networks that timm, torchvision and OpenCLIP offer, kept in the cache: importing those takes seconds."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from featurelens.backbone.cache import cache_folder, versions
from featurelens.backbone.request import Request
from featurelens.catalog import unknown
from featurelens.errors import UnknownName

Library = Literal["timm", "torchvision", "open_clip"]


@dataclass(frozen=True)
class Offer:
    """One library's networks: `trained` maps names to a word about each, `repos` some of them to where their
    weights lie on the hub; `untrained` are further names that it builds."""

    trained: dict[str, str]
    repos: dict[str, str] = field(default_factory=dict)
    untrained: list[str] = field(default_factory=list)


def offered(library: Library) -> Offer:
    """What the installed version offers, from the cache where it is there; else the library is imported."""
    return kept(library) or keep(library)


def kept(library: Library) -> Offer | None:
    """What the cache knows of the installed version; None if nothing."""
    try:
        return Offer(**json.loads(_file(library).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def keep(library: Library) -> Offer:
    """Ask the library, and write its answer into the cache if that can be written to."""
    offer = _ASK[library]()
    file = _file(library)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=file.parent, suffix=".tmp", delete=False) as part:
            json.dump(asdict(offer), part)
        os.replace(part.name, file)
    except OSError:
        pass  # it is asked again the next time
    return offer


def check_name(request: Request) -> None:
    """UnknownName for a name that the library does not have, before seconds go into importing it.

    Says nothing where the library is loaded already: networks may have been added to it since.
    """
    library: Library = "torchvision" if request.scheme == "torchvision" else "timm"
    offer = None if library in sys.modules or request.scheme == "local-dir" else kept(library)
    if offer is None:
        return
    architecture, _, tag = request.rest.partition(".")
    built = {name.partition(".")[0] for name in offer.trained} | set(offer.untrained)
    if architecture not in built:
        raise no_network(request, sorted(built))
    if tag and request.pretrained and request.weights is None and request.rest not in offer.trained:
        raise unknown("pretrained network", request.rest, offer.trained)


def no_network(request: Request, known: list[str]) -> UnknownName:
    """The error for a name that a library does not have."""
    if request.scheme == "torchvision":
        return unknown("torchvision network", request.rest, known)
    torchvisions = kept("torchvision")
    if torchvisions and request.rest in torchvisions.trained:
        hint = f"torchvision has one of that name: torchvision:{request.rest}."
    else:
        hint = "'featurelens models' lists all; other kinds are torchvision:NAME, local-dir:PATH, onnx:FILE."
    return unknown("network", request.rest, ["embedded", *known], hint=hint)


def _file(library: Library) -> Path:
    found = version("open_clip_torch") if library == "open_clip" else versions()[library]
    return cache_folder() / "offers" / f"{library}-{found}.json"


def _timms() -> Offer:
    import timm

    trained, repos = {}, {}
    for name in timm.list_models(pretrained=True):
        config = timm.get_pretrained_cfg(name)
        if config is None:
            continue
        size = "×".join(map(str, config.input_size[1:]))
        trained[name] = f"{size} px, licence {config.license or 'not stated'}"
        if config.hf_hub_id:
            repos[name] = config.hf_hub_id
    has_weights = {name.partition(".")[0] for name in trained}
    others = {*timm.list_models(), *timm.models.get_deprecated_models()} - has_weights
    return Offer(trained, repos, sorted(others))


def _torchvisions() -> Offer:
    import torchvision

    names = torchvision.models.list_models(module=torchvision.models)
    return Offer(dict.fromkeys(names, "trained on ImageNet"))


def _openclips() -> Offer:
    import open_clip

    trained, repos = {}, {}
    for architecture, tag in open_clip.list_pretrained():
        name = f"{architecture}/{tag}"
        trained[name] = "image and text"
        told = open_clip.get_pretrained_cfg(architecture, tag)
        if told and told.get("hf_hub"):
            repos[name] = "/".join(str(told["hf_hub"]).split("/")[:2])
    return Offer(trained, repos)


_ASK = {"timm": _timms, "torchvision": _torchvisions, "open_clip": _openclips}
