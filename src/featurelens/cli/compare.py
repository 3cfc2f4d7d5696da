"""`featurelens compare`: two reports of `assess` side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from featurelens.cli.options import Json
from featurelens.cli.terminal import notice, print_json, show
from featurelens.wording import printable


def compare(
    before: Annotated[Path, typer.Argument(help="report.json or report.html of the first assessment.")],
    after: Annotated[Path, typer.Argument(help="The same of the second.")],
    as_json: Json = False,
) -> None:
    """Show what changed between two reports, and whether it is more than noise."""
    from dataclasses import asdict, replace

    from rich.markup import escape
    from rich.table import Table

    from featurelens.assess.compare import compare as compare_reports
    from featurelens.assess.compare import read_report, same_images, told

    first, second = read_report(before), read_report(after)
    changes = compare_reports(first, second)
    same = same_images(first, second)
    if as_json:
        changed = [asdict(change) | {"difference": change.difference} for change in changes]
        print_json({"same_images": same, "changes": changed})
        return
    if not same:
        notice("The two reports looked at different images or labels: differences may come from these.")
    for line in told([replace(c, backbone=_names(c.backbone)) for c in changes], second.get("quality")):
        typer.echo(printable(line))
    typer.echo()
    table = Table(box=None, pad_edge=False)
    for name in ("backbone", "measure", "before", "after", "difference", "verdict"):
        table.add_column(name, justify="left" if name in ("backbone", "measure", "verdict") else "right")
    for change in changes:
        spread = f" [{change.interval[0]:+.3f}, {change.interval[1]:+.3f}]" if change.interval else ""
        table.add_row(
            escape(_names(change.backbone)),
            change.measure,
            f"{change.before:.3f}",
            f"{change.after:.3f}",
            f"{change.difference:+.3f}{escape(spread)}",
            change.verdict if change.p is None else f"{change.verdict} (p {_small(change.p)})",
        )
    show(table)
    notice(
        "p: paired on the same images. Others: whether the intervals of both reports allow for it. "
        "Each measure is judged by itself: of twenty that did not change, about one looks changed."
    )


def _names(backbone: str) -> str:
    """Short names of a backbone, or of the two of a pair."""
    from featurelens.assess.report.words import short

    return " → ".join(map(short, backbone.split(" → ")))


def _small(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"
