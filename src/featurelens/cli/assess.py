"""`featurelens assess`: how good features are for a folder of images, and which backbone to take."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from featurelens.cli.options import Device, Json
from featurelens.cli.terminal import notice, print_json, progress_bar, say, show

if TYPE_CHECKING:
    from featurelens.assess.choose import Choosing
    from featurelens.assess.result import Measure

_WIDE = 140


def assess(
    images: Annotated[
        Path, typer.Argument(help="A folder of images; class folders or metadata.csv give the labels.")
    ],
    backbones: Annotated[
        str,
        typer.Option(
            "--backbones",
            "-b",
            help="Backbones, separated by commas: any name that --backbone takes elsewhere, NAME=FILE for "
            "local weights, random:NAME for random ones (a floor to compare with).",
        ),
    ] = "embedded",
    layers: Annotated[
        str,
        typer.Option(
            help="Also try these layers of the best backbone, separated by commas; auto: blocks spread over "
            "its depth."
        ),
    ] = "",
    pooling: Annotated[
        str, typer.Option(help="Also try these poolings of the best backbone: avg,max,gem,cls,...")
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
        int, typer.Option(help="Images that are harmed to see how steady each backbone is; 0 leaves it out.")
    ] = 100,
    against: Annotated[
        Path | None,
        typer.Option(help="A folder of another kind of image: how far does it lie from this one?"),
    ] = None,
    map_by: Annotated[
        str, typer.Option("--map", help="The 2-D map of the images: pca, or tsne (needs the extra 'maps').")
    ] = "pca",
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of report.html and report.json. Default: IMAGES/.featurelens/assess."),
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
    from featurelens.assess.places import place_for
    from featurelens.assess.report import check_map, report_data, write_report

    check_map(map_by)
    with _Progress() as progress:
        chosen = choose(
            images,
            _listed(backbones),
            layers=_listed(layers),
            pooling=_listed(pooling),
            size=size,
            device=device,
            split=split,
            stable=stable,
            against=against,
            cache=cache,
            seed=seed,
            say=progress.say,
            on_progress=progress.step,
        )
        progress.say("Writing the report")
        page, data = write_report(chosen, out or place_for(images), map_by=map_by)
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


class _Progress:
    """One bar for each piece of work, closed when another begins or a line is said."""

    def __init__(self) -> None:
        self._now = ""
        self._open = ExitStack()

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def say(self, text: str) -> None:
        self._open.close()
        self._now = ""
        say(text)

    def step(self, what: str, done: int, total: int) -> None:
        if what != self._now:
            from featurelens.assess.report.words import short

            self._open.close()
            self._now = what
            work, _, _ = what.partition(" ")
            title = {"harms": "Harming images", "layers": "Layers"}.get(work, f"Embedding {short(what)}")
            bar = progress_bar(title, unit="harms" if work == "harms" else "images")
            self._advance = self._open.enter_context(bar)
        self._advance(done, total)


def _print(chosen: Choosing) -> None:
    from rich.markup import escape
    from rich.table import Table

    from featurelens.assess.report.page import answer
    from featurelens.assess.report.words import SHOWN, short

    study, wide = chosen.study, _columns() >= _WIDE
    table = Table(box=None, pad_edge=False)
    shown = [c for c in SHOWN if any(c in a.measures for a in study.assessments)]
    shown = shown if wide else shown[:3]  # the page and --json have the others
    table.add_column("backbone", overflow="fold", min_width=16)
    for name in (*(SHOWN[c] for c in shown), "images/s", "memory"):
        table.add_column(name, justify="right")
    if wide:
        table.add_column("licence")
    for one in study.assessments:
        rate, memory = one.cost.images_per_second, one.cost.memory_bytes
        table.add_row(
            escape(short(one.name)) + (" *" if one.name in study.front and study.quality else ""),
            *(escape(_cell(one.measures[name], wide)) for name in shown),
            f"{rate:.0f}" if rate else "–",
            f"{memory / 1e6:,.0f} MB" if memory else "–",
            *([escape(one.features.spec.licence)] if wide else []),
        )
    show(table)
    if len(study.assessments) > 1 and study.quality:
        typer.echo("* not beaten in quality, speed and memory at once")
    typer.echo(answer(study))
    if chosen.sweep:
        best = chosen.sweep[0]
        typer.echo(
            f"Best of {len(chosen.sweep)} layers and poolings: {f'{best.layer} {best.pooling}'.strip()}, "
            f"{best.measures[0]}"
        )
    for name, found in chosen.shifts.items():
        told = ", ".join(f"{one.name} {one.value:.3f}" for one in found.measures.values() if one.defined)
        typer.echo(f"Shift to {against_name(chosen)} for {short(name)}: {told}")
    _print_faults(chosen)


def against_name(chosen: Choosing) -> str:
    """The other folder's name, safe for a terminal."""
    from featurelens.wording import printable

    return printable(chosen.against.name if chosen.against else "")


def _columns() -> int:
    import shutil
    import sys

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 200


def _cell(measure: Measure, wide: bool) -> str:
    """Value and interval, side by side or, in a narrow terminal, one above the other."""
    if not measure.defined:
        return "undefined"
    digits = 0 if measure.name == "RankMe" else 3 if wide else 2
    value = f"{measure.value:.{digits if digits == 0 else 3}f}"
    if measure.interval is None:
        return value
    low, high = measure.interval
    return f"{value}{' ' if wide else chr(10)}[{low:.{digits}f}, {high:.{digits}f}]"


def _print_faults(chosen: Choosing) -> None:
    from featurelens.wording import printable

    found, ids = chosen.findings, chosen.study[chosen.study.best].features.ids
    for pairs, what in (
        (found.two_labels, "one image under two labels"),
        (found.leaks, "near-copies across the split"),
    ):
        if pairs:
            first = f"{printable(ids[pairs[0].a])} and {printable(ids[pairs[0].b])}"
            typer.echo(f"{what[0].upper()}{what[1:]}: {len(pairs)}, the closest {first}")
    if found.suspects:
        worst = found.suspects[0]
        first = f"{printable(ids[worst.row])} (looks like {worst.suggested})"
        typer.echo(f"Labels that are likely wrong: {len(found.suspects)}, first {first}")
