"""What the commands say: results on stdout, progress and notices on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featurelens.wording import count, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def stderr() -> Console:
    """The console for progress and notices; plain text when NO_COLOR is set or stderr is no terminal."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def notice(text: str, *, mark: str = "", style: str = "") -> None:
    """A line for the user on stderr, as it is: brackets in a path are no markup. `mark` stands before it in `style`."""
    from rich.text import Text

    stderr().print(Text.assemble((mark and f"{mark} ", style), text), soft_wrap=True)


def say(text: str) -> None:
    """One plain line for the user on stderr (what `say=` callbacks of the library get)."""
    print(text, file=sys.stderr)


def say_skipped(skipped: Sequence[tuple[str, str]]) -> None:
    """How many files were left out, and the first of them with its reason; nothing if there is none."""
    if skipped:
        first = "" if len(skipped) == 1 else ", the first"
        say(f"Not read: {count(len(skipped), 'file')}{first}: {printable(skipped[0][0])}: {skipped[0][1]}")


def quoted(path: object) -> str:
    """A path or address as a shell takes it."""
    import shlex

    return shlex.quote(printable(str(path)))


def show(table: Table) -> None:
    """A table on stdout; wide enough never to cut a path when stdout is no terminal."""
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=200)
    console.print(table)


def print_json(value: Any) -> None:
    """One JSON document on stdout; odd file names come out as escapes and never fail."""
    json.dump(value, sys.stdout, default=_jsonable, indent=2)
    sys.stdout.write("\n")


@contextmanager
def progress_bar(title: str, *, unit: str = "images") -> Iterator[Callable[..., None]]:
    """A bar with rate and time left on stderr; yields `advance(done, total, failed=0)`."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = stderr()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TextColumn("[yellow]{task.fields[failed]}[/]"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=None, rate="", failed="")
        started = bar.get_time()

        def advance(done: int, total: int | None, failed: int = 0) -> None:
            seconds = bar.get_time() - started
            each = done / seconds if seconds > 0.2 else 0.0
            rate = f"{each:,.{0 if each >= 10 else 2}f} {unit}/s" if each else ""
            bar.update(
                task, completed=done, total=total, rate=rate, failed=f"{failed} skipped" if failed else ""
            )

        yield advance


@contextmanager
def waiting(title: str) -> Iterator[None]:
    """For work of unknown length: a moving mark and the time so far, on stderr."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = stderr()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        bar.add_task(title, total=None)
        yield


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Ctrl-C asks instead of breaking off: yields `keep_going()`; a second Ctrl-C breaks off at once."""
    import signal

    asked = False

    def ask(*_: object) -> None:
        nonlocal asked
        asked = True
        signal.signal(signal.SIGINT, before)
        say("Stopping after this step, and saving; Ctrl-C again breaks off at once.")

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: not asked
    finally:
        signal.signal(signal.SIGINT, before)


def _jsonable(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"cannot write {type(value).__name__} as JSON")
