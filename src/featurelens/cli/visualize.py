"""`featurelens visualize`: pictures that drive units, classes and directions of a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from featurelens.cli.options import BackboneName, Device, Json
from featurelens.cli.places import RESULTS, apart_from
from featurelens.cli.terminal import notice, print_json, progress_bar, say, say_skipped, show


def visualize(
    objectives: Annotated[
        list[str],
        typer.Argument(
            help="What to drive: layer3:42, layer3:0-31, layer3:4@center (one place), logit:281 (a class), "
            "sums such as layer3:4-layer3:9. 'featurelens layers' lists the layers."
        ),
    ],
    backbone: BackboneName = "resnet18",
    images: Annotated[
        Path | None,
        typer.Option(
            help="A folder of images to compare with; for the canvas maco, also the source of its spectrum."
        ),
    ] = None,
    canvas: Annotated[
        str, typer.Option(help="fourier, maco (keeps the spectrum of photos) or pixel (shows noise and all).")
    ] = "fourier",
    size: Annotated[
        int | None, typer.Option(help="Side of the pictures in pixels. Default: the network's own.")
    ] = None,
    steps: Annotated[int, typer.Option(help="Steps of the optimisation.")] = 256,
    copies: Annotated[
        int, typer.Option(help="Pictures for each objective, kept different from one another.")
    ] = 1,
    seed: Annotated[int, typer.Option(help="Another seed gives other pictures.")] = 0,
    transparent: Annotated[bool, typer.Option("--transparent", help="Fade what did not matter.")] = False,
    out: Annotated[Path, typer.Option(help="The sheet (.png); .npz and .json are written beside it.")] = (
        RESULTS / "visualize.png"
    ),
    pretrained: Annotated[bool, typer.Option(help="Load the trained weights.")] = True,
    weights: Annotated[Path | None, typer.Option(help="Weights from a local file.")] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Make pictures that drive OBJECTIVES as far as they go, and say how far that is."""
    if images is not None:
        apart_from(images, out.parent)
    from rich.table import Table

    from featurelens.backbone import load_backbone
    from featurelens.see.maximization import maximize
    from featurelens.see.objectives import diverse
    from featurelens.see.spoken import as_objectives

    wanted = as_objectives(objectives)
    if copies != 1:
        wanted = [diverse(one, copies) for one in wanted]
    net = load_backbone(
        backbone, engine="torch", device=device, pretrained=pretrained, weights=weights, say=say
    )
    with progress_bar("Drawing", unit="steps") as advance:
        made = maximize(
            net,
            wanted,
            images=images,
            canvas=canvas,
            size=size,
            steps=steps,
            seed=seed,
            on_progress=lambda p: advance(p.done, p.total),
        )
    written = made.save(out, transparent=transparent)
    if as_json:
        skipped = [{"image": name, "reason": reason} for name, reason in made.skipped]
        print_json({**made.how, "skipped": skipped, "pictures": made.figures(), "files": written})
    else:
        table = Table(box=None, pad_edge=False)
        for name in ("objective", "activation", "best image", "ratio", "starts"):
            table.add_column(name, justify="left" if name == "objective" else "right")
        for one in made:
            table.add_row(
                one.name + (f" ({one.copy + 1})" if copies > 1 else ""),
                f"{one.activation:.3g}" if one.alive else "no response",
                "" if one.natural is None else f"{one.natural:.3g}",
                "" if one.ratio is None else f"{one.ratio:.1f}x",
                str(one.attempts),
            )
        show(table)
        say_skipped(made.skipped)
    for file in written:
        notice(f"Written: {file}")
