"""`featurelens assess`: how good features are for a folder of images, and which backbone to take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from featurelens.cli.options import Device, Json
from featurelens.cli.terminal import notice, print_json, progress_bar, say, show

if TYPE_CHECKING:
    from featurelens.assess.choose import Choosing

_COLUMNS = ("linear probe accuracy", "kNN accuracy, k = 10", "mAP", "silhouette (cosine)", "RankMe")


def assess(
    images: Annotated[
        Path, typer.Argument(help="A folder of images; class folders or metadata.csv give the labels.")
    ],
    backbones: Annotated[
        str,
        typer.Option(
            help="Backbones, separated by commas: any name that --backbone takes elsewhere, NAME=FILE for "
            "local weights, random:NAME for random ones (a floor to compare with)."
        ),
    ] = "embedded",
    layers: Annotated[
        str, typer.Option(help="Also try these layers of the best backbone, separated by commas.")
    ] = "",
    pooling: Annotated[
        str, typer.Option(help="Also try these poolings of the best backbone: avg,gem,cls,...")
    ] = "",
    size: Annotated[
        int | None, typer.Option(help="Side of the input in pixels. Default: the network's own.")
    ] = None,
    device: Device = "auto",
    split: Annotated[
        str,
        typer.Option(
            help="How to test: folds (cross-validation), folder (train and test folders), or a share: 0.25."
        ),
    ] = "folds",
    stable: Annotated[
        int, typer.Option(help="Images on which stability under small harms is measured; 0 leaves it out.")
    ] = 200,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of report.html and report.json. Default: in IMAGES/.featurelens/assess."),
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Where features are kept. Default: IMAGES/.featurelens/assess.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of folds, resampling and harms.")] = 0,
    open_page: Annotated[bool, typer.Option("--open", help="Open the report in the browser.")] = False,
    as_json: Json = False,
) -> None:
    """Measure how good features are for IMAGES, compare backbones, and write a report."""
    from featurelens.assess.choose import choose
    from featurelens.assess.report import report_data, write_report

    with progress_bar("Extracting") as advance:
        chosen = choose(
            images,
            _listed(backbones),
            layers=_listed(layers),
            pooling=_listed(pooling),
            size=size,
            device=device,
            split=split,
            stable=stable,
            cache=cache,
            seed=seed,
            say=say,
            on_progress=lambda name, done, total: advance(done, total),
        )
    page, data = write_report(chosen, out or images / ".featurelens" / "assess")
    if as_json:
        print_json(report_data(chosen))
    else:
        _print(chosen)
    notice(f"Report: {page}")
    notice(f"Data:   {data}")
    if open_page:
        import webbrowser

        if not webbrowser.open(page.resolve().as_uri()):
            notice("No browser could be started here; open the page by hand.")


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _print(chosen: Choosing) -> None:
    from rich.markup import escape
    from rich.table import Table

    from featurelens.assess.report.page import answer
    from featurelens.assess.report.words import short

    study = chosen.study
    table = Table(box=None, pad_edge=False)
    columns = [c for c in _COLUMNS if any(c in a.measures for a in study.assessments)]
    for name in ("backbone", *columns, "images/s", "memory", "licence"):
        table.add_column(name, justify="left" if name in ("backbone", "licence") else "right")
    for one in study.assessments:
        cells = []
        for name in columns:
            measure = one.measures[name]
            spread = f" [{measure.interval[0]:.3f}, {measure.interval[1]:.3f}]" if measure.interval else ""
            cells.append(f"{measure.value:.3f}{escape(spread)}" if measure.defined else "undefined")
        rate, memory = one.cost.images_per_second, one.cost.memory_bytes
        table.add_row(
            escape(short(one.name)) + (" *" if one.name in study.front else ""),
            *cells,
            f"{rate:.0f}" if rate else "–",
            f"{memory / 1e6:,.0f} MB" if memory else "–",
            escape(one.features.spec.licence),
        )
    show(table)
    if len(study.assessments) > 1 and study.quality:
        typer.echo("* not beaten in quality, speed and memory at once")
    typer.echo(answer(study))
    found = chosen.findings
    for count, what in (
        (len(found.two_labels), "times one image under two labels"),
        (len(found.leaks), "near-copies across the split"),
        (len(found.suspects), "labels that are likely wrong"),
    ):
        if count:
            typer.echo(f"Label problems: {count} {what}; see the report")
