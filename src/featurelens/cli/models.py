"""`featurelens models`: which networks can be used here, and what is already on this machine."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated

import typer

from featurelens.cli.options import Json
from featurelens.cli.terminal import notice, print_json, show


def models(
    pattern: Annotated[str, typer.Argument(help="Only names that match, e.g. 'resnet*' or '*dino*'.")] = "*",
    cached: Annotated[
        bool, typer.Option("--cached", help="Only networks that are ready to use without a download.")
    ] = False,
    limit: Annotated[int, typer.Option(help="Show at most so many rows; 0 for all.")] = 40,
    as_json: Json = False,
) -> None:
    """List the networks by the names that --backbone takes."""
    from rich.table import Table

    from featurelens.backbone.listing import list_backbones

    found = [m for m in list_backbones() if fnmatchcase(m.name, pattern) and (m.ready or not cached)]
    if as_json:
        print_json(found)
        return
    shown = found[:limit] if limit else found
    table = Table(box=None, pad_edge=False)
    for name in ("name", "from", "ready", "what"):
        table.add_column(name, overflow="fold")
    for model in shown:
        table.add_row(model.name, model.source, "yes" if model.ready else "", model.note)
    show(table)
    if len(shown) < len(found):
        notice(f"{len(found) - len(shown):,} more: narrow with a pattern ('resnet*'), or --limit 0.")
    if not found:
        notice(f"No network matches '{pattern}'. Patterns: * any text, ? any letter.")
