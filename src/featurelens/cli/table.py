"""The commands by name: each is imported and built when it is asked for, so that none waits for the others."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

COMMANDS = (
    "demo",
    "index",
    "search",
    "duplicates",
    "label",
    "explain",
    "extract",
    "layers",
    "maps",
    "visualize",
    "units",
    "concepts",
    "assess",
    "compare",
    "pretrain",
    "tune",
    "before-after",
    "adapt",
    "serve",
    "export",
    "models",
    "doctor",
)
LOOK: dict[str, Any] = {
    "rich_markup_mode": None,  # plain pages: importing rich for them would take longer than all the rest
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}


class Table(TyperGroup):
    """The group of all COMMANDS."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.commands = _Built()


class _Built(MutableMapping[str, Any]):
    """Name → command; `before-after` is the function before_after in the file of that name."""

    def __init__(self) -> None:
        self._commands: dict[str, Any] = dict.fromkeys(COMMANDS)

    def __getitem__(self, name: str) -> Any:
        if self._commands[name] is None:
            word = name.replace("-", "_")
            function = getattr(import_module(f"featurelens.cli.{word}"), word)
            alone = typer.Typer(add_completion=False, **LOOK)
            alone.command(name, short_help=(function.__doc__ or "").partition("\n")[0])(function)
            self._commands[name] = get_command(alone)
        return self._commands[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._commands[name] = command

    def __delitem__(self, name: str) -> None:
        del self._commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._commands)

    def __len__(self) -> int:
        return len(self._commands)
