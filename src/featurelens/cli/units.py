"""`featurelens units`: for each unit of a layer the images that drive it most, as static pages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from featurelens.cli.options import BackboneName, Device, Json
from featurelens.cli.places import apart_from
from featurelens.cli.terminal import notice, print_json, progress_bar, say, say_skipped, show

if TYPE_CHECKING:
    from featurelens.see.unit_pass import Units


def units(
    images: Annotated[Path, typer.Argument(help="A folder of images.")],
    layer: Annotated[
        list[str] | None,
        typer.Option("--layer", "-l", help="A layer; give it again for several. Default: the last stage."),
    ] = None,
    backbone: BackboneName = "resnet18",
    unit: Annotated[str, typer.Option(help="Pages for these units only, such as 0-31 or 3,7,9.")] = "",
    top: Annotated[int, typer.Option(help="Images to show of each unit.")] = 9,
    limit: Annotated[
        int | None, typer.Option(help="Look at so many images only, spread evenly over the folder.")
    ] = None,
    pictures: Annotated[
        int,
        typer.Option(
            help="Synthetic pictures for so many units of each layer, those that stand out most; -1: all."
        ),
    ] = 16,
    steps: Annotated[int, typer.Option(help="Steps for each synthetic picture.")] = 128,
    size: Annotated[
        int | None, typer.Option(help="Side of synthetic pictures in pixels. Default: the network's own.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the pages. Default: IMAGES/.featurelens/units.")
    ] = None,
    pretrained: Annotated[bool, typer.Option(help="Load the trained weights.")] = True,
    weights: Annotated[Path | None, typer.Option(help="Weights from a local file.")] = None,
    device: Device = "auto",
    open_page: Annotated[bool, typer.Option("--open", help="Open the pages in the browser.")] = False,
    as_json: Json = False,
) -> None:
    """Find what drives each unit of a network among IMAGES, and write a page for each."""
    if out is not None:
        apart_from(images, out)
    from featurelens.backbone import load_backbone
    from featurelens.see.depths import stage_layers
    from featurelens.see.spoken import unit_numbers
    from featurelens.see.unit_pages import write_pages
    from featurelens.see.unit_pass import units as find

    only = unit_numbers(unit) if unit else None
    home = out or images / ".featurelens" / "units"
    net = load_backbone(
        backbone, engine="torch", device=device, pretrained=pretrained, weights=weights, say=say
    )
    with progress_bar("Looking") as advance:
        found = find(
            images,
            net,
            layer or stage_layers(net)[-1:],
            top=top,
            limit=limit,
            store=home,
            on_progress=lambda p: advance(p.done, p.total, p.failed),
        )
    with progress_bar("Drawing", unit="steps") as advance:
        page = write_pages(
            found,
            home,
            backbone=net,
            only=only,
            pictures=pictures,
            steps=steps,
            size=size,
            on_progress=lambda p: advance(p.done, p.total),
        )
    if as_json:
        print_json(_told(found, page))
    else:
        _print(found)
    notice(f"Pages: {page}")
    if open_page:
        import webbrowser

        if not webbrowser.open(page.resolve().as_uri()):
            notice("No browser could be started here; open the page by hand.")


def _told(found: Units, page: Path) -> dict[str, object]:
    return {
        "backbone": found.backbone,
        "images": len(found.images),
        "skipped": [{"image": name, "reason": reason} for name, reason in found.skipped],
        "layers": [{"layer": one.layer, "units": len(one), "dead": one.dead} for one in found.layers],
        "page": page,
    }


def _print(found: Units) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("layer", "units", "never answer", "stand out most"):
        table.add_column(name, justify="right" if name in ("units", "never answer") else "left")
    for one in found.layers:
        best = (-one.contrast).argsort(kind="stable")[:8]
        table.add_row(one.layer, str(len(one)), str(len(one.dead)), ", ".join(str(int(i)) for i in best))
    show(table)
    say_skipped(found.skipped)
