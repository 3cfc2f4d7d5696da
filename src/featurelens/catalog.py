"""Names that a user types, mapped to lazily imported objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from featurelens.errors import UnknownName


class Catalog:
    """A read-only map from names to "module:object", extended by entry points of installed packages.

    >>> Catalog("shape", {"path": "pathlib:Path"}).load("path").__name__
    'Path'
    """

    def __init__(self, kind: str, entries: Mapping[str, str], *, group: str | None = None) -> None:
        self.kind = kind
        self._builtin = dict(entries)
        self._group = group
        self._all: dict[str, str] | None = None

    def _entries(self) -> dict[str, str]:
        if self._all is None:
            plugins = entry_points(group=self._group) if self._group else ()
            self._all = {point.name: point.value for point in plugins} | self._builtin
        return self._all

    def __contains__(self, name: object) -> bool:
        return name in self._entries()

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries())

    def load(self, name: str) -> Any:
        """Import and return the object behind `name`; raises UnknownName with close matches."""
        entries = self._entries()
        if name not in entries:
            raise unknown(self.kind, name, entries)
        module, _, attribute = entries[name].partition(":")
        return getattr(import_module(module), attribute)


def unknown(kind: str, name: str, known: Iterable[str], *, hint: str = "") -> UnknownName:
    """The error for a name that is not there: what was typed, what comes close, where to look."""
    known = list(known)
    close = get_close_matches(name, known, n=5, cutoff=0.5)
    if close:
        tail = f"Close matches: {', '.join(close)}."
    elif len(known) <= 20:
        tail = f"Known: {', '.join(sorted(known))}."
    else:
        tail = f"None of the {len(known)} known names comes close."
    return UnknownName(f"There is no {kind} named '{name}'. {tail}{' ' + hint if hint else ''}")
