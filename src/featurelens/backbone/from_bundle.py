"""`bundle:DIR`: an exported backbone, on OpenVINO or, where its weights are with it, on torch."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from featurelens.backbone.bundle import WEIGHTS, Bundle, open_bundle, read_bundle
from featurelens.backbone.protocol import Backbone, Spec
from featurelens.backbone.request import Request
from featurelens.errors import BackboneError


def load(request: Request) -> Backbone:
    """The backbone in the folder DIR; BackboneError if it is no bundle, not whole, or lacks what torch needs."""
    request.refuse("A bundle", size=request.size, weights=request.weights, mean=request.mean, std=request.std)
    folder = Path(request.rest)
    if request.engine != "torch":
        return open_bundle(folder, threads=request.threads, name=request.name)
    bundle = read_bundle(folder)
    network, spec = bundle.made.get("network"), bundle.spec
    if (folder / "config.json").is_file():  # timm's own format beside the graph: it tells the arguments too
        return _as_bundle(request, replace(request, scheme="local-dir"), spec)
    if not isinstance(network, str) or not (folder / WEIGHTS).is_file():
        raise BackboneError(
            f"{request.name} is an exported graph without the {WEIGHTS} and the network's name that "
            "engine='torch' needs for layers and gradients. Load the network that it was exported from."
        )
    scheme, _, rest = network.partition(":")
    classes = bundle.made.get("classes")
    asked = replace(
        request,
        scheme=scheme,
        rest=rest,
        weights=folder / WEIGHTS,
        size=spec.fit.rows,
        mean=spec.mean,
        std=spec.std,
        arguments=_arguments(bundle),
        classes=len(classes) if classes else None,
    )
    if bundle.made.get("recoloured"):
        return _recoloured(request, replace(asked, classes=bundle.made.get("inner_classes")), bundle)
    found = _as_bundle(request, asked, spec)
    if classes:
        found.module.class_names = [str(name) for name in classes]
    return found


def _as_bundle(request: Request, asked: Request, spec: Spec) -> Any:
    from featurelens.backbone.torch_source import build

    found = build(asked)
    found.spec = replace(found.spec, name=request.name, fit=spec.fit, licence=spec.licence)
    return found


def _recoloured(request: Request, asked: Request, bundle: Bundle) -> Any:
    """A network that was adapted to another domain: its own weights, and the map and classifier behind it."""
    from featurelens.backbone.recoloured import around, unfilled
    from featurelens.backbone.torch_source import build
    from featurelens.backbone.weights import load_into

    classes = [str(name) for name in bundle.made["classes"]]
    network = build(replace(asked, weights=None, pretrained=False))
    module = unfilled(network, len(classes))
    load_into(module, bundle.folder / WEIGHTS)
    found = around(network, module)
    found.spec = replace(found.spec, name=request.name, fit=bundle.spec.fit, licence=bundle.spec.licence)
    found.module.class_names = classes  # pyright: ignore[reportArgumentType]
    return found


def _arguments(bundle: Bundle) -> dict[str, Any]:
    """What the network was made with (its padding, say), as its identity `timm:ARCHITECTURE {arguments}` tells."""
    told = str(bundle.made.get("identity", "")).partition(" ")[2]
    try:
        found = json.loads(told) if told else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
