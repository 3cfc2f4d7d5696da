"""`featurelens doctor`: what works on this machine, what does not, and what to do about it."""

from __future__ import annotations

from typing import Annotated

import typer

from featurelens.cli.options import Json
from featurelens.cli.terminal import notice, print_json, show

_MARK = {"ok": "[green]ok[/]", "note": "[yellow]note[/]", "broken": "[bold red]broken[/]"}


def doctor(
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 on notes too.")] = False,
    as_json: Json = False,
) -> None:
    """Check the installation; exit 1 when something is broken."""
    from rich.markup import escape
    from rich.table import Table

    from featurelens.cli.checks import run_checks

    checks = run_checks()
    if as_json:
        print_json(checks)
    else:
        table = Table(box=None, pad_edge=False, show_header=False)
        for check in checks:
            todo = f"\n→ {check.todo}" if check.todo else ""
            table.add_row(_MARK[check.state], check.what, escape(check.found + todo))
        show(table)
    states = {check.state for check in checks}
    if "broken" in states or (strict and "note" in states):
        raise typer.Exit(1)
    notice("Ready.")
