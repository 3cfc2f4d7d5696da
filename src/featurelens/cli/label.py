"""`featurelens label`: labels for a whole gallery by their names alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from featurelens.cli.csv_file import write_csv
from featurelens.cli.options import Device, Json
from featurelens.cli.terminal import notice, print_json, say, show
from featurelens.wording import printable

if TYPE_CHECKING:
    from featurelens.search import ZeroShot

_EXAMPLES = 3


def label(
    gallery: Annotated[
        Path | None,
        typer.Argument(
            help="Indexed folder, or its gallery folder. Default: the nearest one from here upwards."
        ),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Names with commas between them: 'shirt,dress,shoe'.")
    ] = None,
    labels_from: Annotated[Path | None, typer.Option(help="A text file with one name a line.")] = None,
    template: Annotated[
        list[str] | None,
        typer.Option(
            help="How a name is written, with {} for it; repeat for several. Default: seven ways for photos, five for "
            "sounds."
        ),
    ] = None,
    risk: Annotated[
        float,
        typer.Option(help="The share of images that show none of these and may get a label all the same."),
    ] = 0.05,
    csv: Annotated[Path | None, typer.Option(help="Write one row an image to this file.")] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Label every image (or sound) of a gallery by names alone, or as "none of these"; nothing in the gallery is changed.

    The gallery must be indexed with a backbone that takes text: clip:REPO, clip:DIR, openclip:ARCH/TAG, or for sounds
    clap:REPO, clap:DIR.
    """
    from featurelens.cli.galleries import find_gallery
    from featurelens.search import Gallery, label_images

    names = [one.strip() for one in (labels or "").split(",")]
    if labels_from is not None:
        try:
            names += [line.strip() for line in labels_from.read_text(encoding="utf-8").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise typer.BadParameter(f"cannot be read: {error}", param_hint="--labels-from") from error
    if not any(names):
        raise typer.BadParameter("give --labels shirt,dress,shoe or --labels-from FILE")
    with Gallery.open(find_gallery(gallery, Path.cwd()), device=device, say=say) as opened:
        found = label_images(opened, names, templates=template, risk=risk)
        things = opened.spec.things
    if csv is not None:
        _write(csv, found)
    if as_json:
        counts = {name or "none of these": number for name, number in found.counts().items()}
        print_json({"line": found.line, "risk": risk, "counts": counts, "images": found.rows()})
        return
    _print(found, things)


def _print(found: ZeroShot, things: str) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("label")
    table.add_column(things, justify="right")
    table.add_column("score", justify="right")
    table.add_column("the clearest", overflow="fold")
    for name, number in found.counts().items():
        own = sorted((one for one in found.images if one.label == name), key=lambda one: -one.score)
        shown = (own if name else own[::-1])[:_EXAMPLES]
        middle = f"{own[len(own) // 2].score:.1f}" if own else ""
        files = ", ".join(printable(one.hit.name) for one in shown)
        style = None if name else "dim"
        table.add_row(escape(name or "none of these"), str(number), middle, escape(files), style=style)
    show(table)
    notice(
        f"A label must score {found.line:.1f} or more: ordinary words in its place do so in {100 * found.risk:.0f} % of "
        f"these {things}."
    )


def _write(file: Path, found: ZeroShot) -> None:
    rows = found.rows()
    write_csv(file, [list(rows[0]) if rows else ["name"], *(list(row.values()) for row in rows)])
    notice(f"Wrote {file}: {len(rows):,} rows.")
