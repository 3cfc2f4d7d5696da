"""`featurelens before-after`: what adaptation changed in a network, measured and shown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from featurelens.cli.options import Device, Json
from featurelens.cli.places import RESULTS, apart_from
from featurelens.cli.terminal import notice, print_json, progress_bar, say, show


def before_after(
    images: Annotated[
        Path, typer.Argument(help="A labelled folder; best one that the network did not learn from.")
    ],
    before: Annotated[str, typer.Option(help="The backbone before, as --backbone takes it.")] = "resnet18",
    after: Annotated[
        str, typer.Option(help="The backbone after, such as bundle:run/bundle.")
    ] = "bundle:tune/bundle",
    other: Annotated[
        Path | None, typer.Option(help="Another labelled folder: what was forgotten there?")
    ] = None,
    only: Annotated[
        Path | None,
        typer.Option(help="A predictions.csv of 'tune': look at its images (the test images) only."),
    ] = None,
    units: Annotated[
        int, typer.Option(help="Units whose pictures are drawn, those that changed most; 0: none.")
    ] = 4,
    steps: Annotated[int, typer.Option(help="Steps for each picture.")] = 96,
    out: Annotated[Path, typer.Option(help="Folder of changes.html, changes.json and the pictures.")] = (
        RESULTS / "changes"
    ),
    seed: Annotated[int, typer.Option(help="Of folds, resampling and pictures.")] = 0,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Measure BEFORE and AFTER on IMAGES: probe, retrieval, likeness layer by layer, forgetting, units' pictures."""
    for folder in (images, other):
        if folder is not None:
            apart_from(folder, out)
    from featurelens.backbone import load_backbone

    first = load_backbone(before, engine="torch", device=device, say=say)
    chosen = _listed(only) if only else None
    page = write_changes(
        images,
        first,
        after,
        out,
        other=other,
        only=chosen,
        device=device,
        units=units,
        steps=steps,
        seed=seed,
    )
    import json

    found = json.loads((out / "changes.json").read_text())
    if as_json:
        print_json(found)
    else:
        _print(found)
    notice(f"Page: {page}")


def write_changes(
    images: Path,
    before: Any,
    after: str,
    out: Path,
    *,
    other: Path | None = None,
    only: Sequence[str] | None = None,
    device: str = "auto",
    units: int = 4,
    steps: int = 96,
    seed: int = 0,
) -> Path:
    """Measure both and write `out/changes.html`, `changes.json` and one picture file for each unit and side."""
    from featurelens.backbone import load_backbone
    from featurelens.cli.change_measures import changed_units, cka_by_layer, measured, taken
    from featurelens.cli.change_page import write_page

    second: Any = load_backbone(after, engine="torch", device=device, say=say)
    found: dict[str, Any] = {"before": before.spec.name, "after": second.spec.name, "images": str(images)}
    with progress_bar("Embedding") as advance:
        mine = taken(images, only)
        found["measures"], found["n"] = measured(mine, before, second, seed=seed, on_progress=advance)
        if other is not None:
            found["other"] = str(other)
            found["forgetting"], found["n_other"] = measured(
                taken(other, None), before, second, seed=seed, on_progress=advance
            )
        found["layers"], kept = cka_by_layer(mine, before, second, seed=seed, on_progress=advance)
    chosen = changed_units(kept, 2 * units)  # some will not answer to any picture
    with progress_bar("Drawing", unit="steps") as advance:
        return write_page(
            found, chosen, (before, second), out, count=units, steps=steps, seed=seed, on_progress=advance
        )


def _listed(predictions: Path) -> list[str]:
    import csv

    from featurelens.errors import InvalidInput

    try:
        with open(predictions, encoding="utf-8", errors="surrogateescape", newline="") as file:
            return [row["file_name"] for row in csv.DictReader(file)]
    except (OSError, KeyError) as error:
        raise InvalidInput(f"{predictions} has no column file_name that can be read ({error}).") from error


def _print(found: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("images", "measure", "before", "after", "difference", "p"):
        table.add_column(name, justify="left" if name in ("images", "measure") else "right")
    for place, key in ((found["images"], "measures"), (found.get("other", ""), "forgetting")):
        for one in found.get(key, ()):
            low, high = one["interval"]
            spread = f"{one['difference']:+.3f} ({low:+.3f} to {high:+.3f})"
            table.add_row(
                Path(place).name,
                one["name"],
                f"{one['before']:.3f}",
                f"{one['after']:.3f}",
                spread,
                f"{one['p']:.4f}",
            )
    show(table)
    table = Table(box=None, pad_edge=False)
    for name in ("layer", "CKA", "interval"):
        table.add_column(name, justify="left" if name == "layer" else "right")
    for one in found["layers"]:
        spread = "" if one["interval"] is None else f"{one['interval'][0]:.3f} to {one['interval'][1]:.3f}"
        table.add_row(one["layer"], f"{one['cka']:.3f}", spread)
    show(table)
