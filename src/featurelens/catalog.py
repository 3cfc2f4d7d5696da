"""Names that a user types, mapped to lazily imported objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from featurelens.errors import PluginError, UnknownName


class Catalog:
    """A read-only map from names to "module:object", extended by entry points of installed packages.

    >>> Catalog("shape", {"path": "pathlib:Path"}).load("path").__name__
    'Path'
    """

    def __init__(self, kind: str, entries: Mapping[str, str], *, group: str | None = None) -> None:
        self.kind = kind
        self._builtin = dict(entries)
        self._group = group
        self._found: dict[str, EntryPoint] | None = None

    def plugins(self) -> dict[str, str]:
        """The names that installed packages bring, and the package of each; a built-in name stays built in."""
        return {name: point.dist.name if point.dist else "?" for name, point in self._points().items()}

    def _points(self) -> dict[str, EntryPoint]:
        if self._found is None:
            points = entry_points(group=self._group) if self._group else ()
            self._found = {point.name: point for point in points if point.name not in self._builtin}
        return self._found

    def _entries(self) -> list[str]:
        return [*self._builtin, *self._points()]

    def __contains__(self, name: object) -> bool:
        return name in self._entries()

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries())

    def load(self, name: str) -> Any:
        """Import and return the object behind `name`; UnknownName with close matches, PluginError for a broken plugin."""
        if name in self._builtin:
            module, _, attribute = self._builtin[name].partition(":")
            return getattr(import_module(module), attribute)
        point = self._points().get(name)
        if point is None:
            raise unknown(self.kind, name, self._entries())
        try:
            return point.load()
        except (ImportError, AttributeError) as error:
            package = self.plugins()[name]
            raise PluginError(
                f"The {self.kind} '{name}' comes from the package {package}, which does not load ({point.value}: {error}). "
                f"Upgrade {package}, or remove it with: pip uninstall {package}"
            ) from error


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
