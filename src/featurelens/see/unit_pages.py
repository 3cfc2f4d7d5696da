"""Static pages of units: one for each unit, at an address that stays, one for each layer, one for all."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from featurelens.backbone.protocol import Backbone
from featurelens.errors import InvalidInput
from featurelens.features.progress import OnProgress
from featurelens.see.unit_pass import LayerUnits, Units
from featurelens.see.unit_pictures import Made, pictures_of
from featurelens.see.unit_tiles import Tiles

_IN_ADDRESS = re.compile(r"[^\w.@-]+")


def write_pages(
    units: Units,
    folder: Path,
    *,
    backbone: Backbone | None = None,
    only: Sequence[int] | None = None,
    pictures: int = 16,
    steps: int = 128,
    size: int | None = None,
    side: int = 128,
    on_progress: OnProgress | None = None,
) -> Path:
    """Write `folder`/index.html, LAYER/index.html and LAYER/UNIT.html; returns the first.

    With `backbone`, the units whose best image stands out most get a synthetic picture: so many of each layer as
    `pictures` says (-1: all), made in `steps` at `size` pixels; those that lie in `folder` are not made again.
    `only` are the units to write. Raises InvalidInput for units that are not there.
    """
    shelf = {layer.layer: _IN_ADDRESS.sub("_", layer.layer) or "network" for layer in units.layers}
    for layer in units.layers:
        home = folder / shelf[layer.layer]
        home.mkdir(parents=True, exist_ok=True)
        shown = _shown(layer, only)
        made: Mapping[int, Made] = {}
        if backbone is not None and pictures:
            made = pictures_of(
                layer, shown, backbone, home, most=pictures, steps=steps, size=size, on_progress=on_progress
            )
        tiles = Tiles(units, layer, side=side)
        cards = []
        for unit in shown:
            tiles.sheet(unit).save(home / f"{unit}.webp", quality=82)
            cards.append(_card(units, layer, unit, made.get(unit)))
        for i, card in enumerate(cards):
            _write(home / f"{card.unit}.html", "unit", units=units, layer=layer, card=card, cards=cards, at=i)
        _write(home / "index.html", "layer", units=units, layer=layer, cards=cards)
        _save_numbers(home, units, layer)
    index = folder / "index.html"
    _write(index, "index", units=units, shelf=shelf)
    return index


@dataclass(frozen=True)
class Card:
    """What a page shows of one unit."""

    unit: int
    dead: bool
    active: float
    contrast: float
    best: float
    made: Made | None
    exemplars: tuple[tuple[str, float], ...]
    bars: tuple[float, ...]
    low: float
    high: float


def _card(units: Units, layer: LayerUnits, unit: int, made: Made | None) -> Card:
    counts = layer.counts[unit]
    tallest = max(int(counts.max()), 1)
    named = [
        (units.images[image].id, float(score))
        for image, score in zip(layer.image[unit], layer.score[unit], strict=True)
        if image >= 0
    ]
    return Card(
        unit=unit,
        dead=bool(layer.silent[unit]),
        active=float(layer.active[unit]),
        contrast=float(layer.contrast[unit]),
        best=named[0][1] if named else float("nan"),
        made=made,
        exemplars=tuple(named),
        bars=tuple(float(np.sqrt(n / tallest)) for n in counts),  # roots: rare answers stay to be seen
        low=float(layer.low[unit]),
        high=float(layer.high[unit]),
    )


def _shown(layer: LayerUnits, only: Sequence[int] | None) -> list[int]:
    if only is None:
        return list(range(len(layer)))
    wrong = [unit for unit in only if not 0 <= unit < len(layer)]
    if wrong:
        raise InvalidInput(f"'{layer.layer}' has units 0 to {len(layer) - 1}; there is no unit {wrong[0]}.")
    return sorted(set(only))


def _save_numbers(home: Path, units: Units, layer: LayerUnits) -> None:
    arrays: dict[str, Any] = {k: v for k, v in vars(layer).items() if isinstance(v, np.ndarray)}
    np.savez_compressed(home / "units.npz", **arrays)
    told = {
        "method": "exemplars of units",
        "backbone": units.backbone,
        "weights": units.weights,
        "layer": layer.layer,
        "images": [source.id for source in units.images],
        "skipped": list(units.skipped),
        "dead": layer.dead,
    }
    (home / "units.json").write_text(json.dumps(told, indent=1) + "\n", encoding="ascii")


@cache
def _templates() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("featurelens.see"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["short"] = lambda value: f"{value:.3g}"
    environment.filters["brief"] = _brief
    environment.filters["printable"] = lambda text: text.encode("utf-8", "backslashreplace").decode()
    return environment


def _brief(name: str) -> str:
    """A backbone's name; of one that lies in a folder or file, only what that is called."""
    local = name.startswith(("local-dir:", "bundle:", "onnx:"))
    return name.rstrip("/").rpartition("/")[2] if local else name


def _write(file: Path, template: str, **context: Any) -> None:
    text = _templates().get_template(f"{template}.html.j2").render(**context)
    file.write_text(text, encoding="utf-8")
