"""`featurelens layers`: every layer of a network with its shape."""

from __future__ import annotations

from typing import Annotated

import typer

from featurelens.cli.options import BackboneName, Json
from featurelens.cli.terminal import notice, print_json, say, show


def layers(
    backbone: BackboneName = "resnet18",
    pattern: Annotated[str, typer.Option(help="Only layers whose name matches, e.g. 'layer3.*'.")] = "*",
    pretrained: Annotated[
        bool, typer.Option(help="Load the trained weights; --no-pretrained needs no download.")
    ] = True,
    as_json: Json = False,
) -> None:
    """List the layers of a network in the order in which they run, with shape and parameters."""
    from fnmatch import fnmatchcase

    from rich.table import Table

    from featurelens.backbone import load_backbone
    from featurelens.errors import BackboneError

    network = load_backbone(backbone, engine="torch", pretrained=pretrained, say=say)
    from featurelens.backbone.torch_backbone import TorchBackbone  # seconds; a typo is told before

    if not isinstance(network, TorchBackbone):
        raise BackboneError(
            f"'{backbone}' shows no layers; name a timm or torchvision network, e.g. resnet18."
        )
    found = [layer for layer in network.layers() if fnmatchcase(layer.name, pattern)]
    if as_json:
        print_json(found)
        return
    table = Table(box=None, pad_edge=False)
    for name in ("layer", "kind", "output shape", "parameters", "calls"):
        table.add_column(name, justify="right" if name in ("parameters", "calls") else "left")
    for layer in found:
        table.add_row(
            layer.name,
            layer.kind,
            str(layer.shape).strip("()").replace(", ", " × "),
            f"{layer.parameters:,}",
            str(layer.calls),
        )
    show(table)
    if not found:
        notice(f"No layer matches '{pattern}'. Patterns: * any text, ? any letter.")
