"""What jobs have found, kept in the gallery's folder (or in memory, where that cannot be written)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featurelens.durable import write_file
from featurelens.search import Hit
from featurelens.search.listing import Listing
from featurelens.web.problems import not_found

if TYPE_CHECKING:
    from featurelens.see.unit_pass import Units


@dataclass(frozen=True)
class UnitFound:
    """What one unit of a layer of `units` answers to; `active` is a share of the images (`of`) that were looked at."""

    units: int
    of: int
    active: float
    best: float
    images: Sequence[tuple[Hit, float]]


class Results:
    """Named JSON documents, and the units of the network."""

    def __init__(self, folder: Path, listing: Listing) -> None:
        self._folder, self._listing = folder / "web", listing
        self._held: dict[str, dict[str, Any]] = {}
        self.units: Units | None = None  # read again from its store when the job is started once more

    @property
    def folder(self) -> Path:
        """Where larger results may be kept."""
        return self._folder

    def put(self, name: str, document: dict[str, Any]) -> None:
        """Keep a document, with the time."""
        dated = {"made": datetime.now(UTC).isoformat(timespec="seconds"), **document}
        self._held[name] = dated
        try:
            self._folder.mkdir(exist_ok=True)
            text = json.dumps(dated).encode()
            write_file(self._folder / f"{name}.json", lambda file: file.write(text), durable=False)
        except OSError:
            return  # a gallery that cannot be written: memory has it

    def get(self, name: str) -> dict[str, Any] | None:
        """The document, or None if it was never made."""
        if name not in self._held:
            try:
                self._held[name] = json.loads((self._folder / f"{name}.json").read_bytes())
            except (OSError, ValueError):
                return None
        return self._held[name]

    def unit(self, layer: str, unit: int) -> UnitFound | None:
        """One unit; None before the job has run, a 404 problem for a unit that is not there."""
        if self.units is None:
            return None
        layers = {one.layer: one for one in self.units.layers}
        if layer not in layers:
            raise not_found(f"There is no layer '{layer[:60]}'; known layers: {', '.join(layers)}.")
        if unit >= len(layers[layer]):
            raise not_found(f"'{layer}' has units 0 to {len(layers[layer]) - 1}; there is no unit {unit}.")
        found = layers[layer]
        pairs = [
            (self.units.images[at].id, float(score))
            for at, score in zip(found.image[unit].tolist(), found.score[unit].tolist(), strict=True)
            if at >= 0
        ]
        named = self._listing.named([name for name, _ in pairs])
        shown = [(named[name], score) for name, score in pairs if name in named]
        best = float(found.score[unit][0])
        return UnitFound(len(found), len(self.units.images), float(found.active[unit]), best, shown)
