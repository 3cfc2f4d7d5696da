"""`featurelens maps`: what each channel of a layer answers to an image, or the way from edges to parts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from featurelens.cli.options import BackboneName, Device, Json
from featurelens.cli.places import RESULTS
from featurelens.cli.terminal import notice, print_json, progress_bar, say


def maps(
    image: Annotated[Path, typer.Argument(help="The image to look at.")],
    layer: Annotated[
        str | None,
        typer.Option("--layer", "-l", help="All channels of this layer. Without it: a page of all stages."),
    ] = None,
    backbone: BackboneName = "resnet18",
    rank: Annotated[
        str, typer.Option(help="What makes a channel strong: spread, max, mean, or index (their order).")
    ] = "spread",
    scale: Annotated[
        str, typer.Option(help="own: each channel to its own peak; shared: all to one.")
    ] = "own",
    limit: Annotated[int, typer.Option(help="The strongest channels to show; 0: all of them.")] = 64,
    over: Annotated[bool, typer.Option("--over", help="Lay the maps over the image.")] = False,
    synthetic: Annotated[
        bool,
        typer.Option(
            "--synthetic", help="On the page of stages, also what each channel seeks (takes minutes)."
        ),
    ] = False,
    out: Annotated[
        Path, typer.Option(help="The sheet (.png); .json and, for one layer, .npz are written beside it.")
    ] = RESULTS / "maps.png",
    pretrained: Annotated[bool, typer.Option(help="Load the trained weights.")] = True,
    weights: Annotated[Path | None, typer.Option(help="Weights from a local file.")] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Draw the feature maps of IMAGE: all channels of one layer, or every stage on one page."""
    from featurelens.backbone import load_backbone
    from featurelens.see.channel_maps import feature_maps
    from featurelens.see.depths import hierarchy

    net = load_backbone(
        backbone, engine="torch", device=device, pretrained=pretrained, weights=weights, say=say
    )
    told: dict[str, Any]
    if layer is None:
        if synthetic:
            say("Drawing what the strongest channels seek; this takes minutes on a CPU.")
            with progress_bar("Drawing", unit="steps") as advance:
                page = hierarchy(net, image, synthetic=True, on_progress=lambda p: advance(p.done, p.total))
        else:
            page = hierarchy(net, image)
        written = page.save(out)
        told = {"layers": [stage.layer for stage in page.stages]}
    else:
        found = feature_maps(net, image, layer, rank=rank)
        written = found.save(out, limit=limit or None, scale=scale, over=over)
        told = {"layer": layer, "shape": list(found.maps.shape), "silent": found.silent, "order": found.order}
    if as_json:
        print_json({**told, "files": written})
    elif layer is None:
        typer.echo("Stages: " + ", ".join(told["layers"]))
    else:
        typer.echo(
            f"{layer}: {' x '.join(map(str, told['shape']))}, {told['silent']} silent channels; "
            f"strongest by {rank}: {', '.join(map(str, told['order'][:8]))}"
        )
    for file in written:
        notice(f"Written: {file}")
