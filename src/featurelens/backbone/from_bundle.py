"""`bundle:DIR`: an exported backbone, on OpenVINO or, where its weights are with it, on torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from featurelens.backbone.bundle import WEIGHTS, open_bundle, read_bundle
from featurelens.backbone.protocol import Backbone
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
    if not isinstance(network, str) or not (folder / WEIGHTS).is_file():
        raise BackboneError(
            f"{request.name} is an exported graph without the {WEIGHTS} and the network's name that "
            "engine='torch' needs for layers and gradients. Load the network that it was exported from."
        )
    from featurelens.backbone.torch_source import build

    scheme, _, rest = network.partition(":")
    found = build(
        replace(
            request,
            scheme=scheme,
            rest=rest,
            weights=folder / WEIGHTS,
            size=spec.fit.rows,
            mean=spec.mean,
            std=spec.std,
        )
    )
    found.spec = replace(found.spec, name=request.name, fit=spec.fit, licence=spec.licence)
    return found
