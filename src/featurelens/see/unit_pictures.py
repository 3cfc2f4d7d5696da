"""The synthetic pictures of a layer's units on disk, made in groups; those that lie there are not made again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from PIL import Image

from featurelens.backbone.protocol import Backbone
from featurelens.features.progress import Meter, OnProgress
from featurelens.see.maximization import maximize
from featurelens.see.unit_pass import LayerUnits

_GROUP = 32  # what one batch of `maximize` holds: a run that is stopped loses no more


@dataclass(frozen=True)
class Made:
    """How well the picture `UNIT.made.webp` drives its unit: `activation` is the mean over places."""

    activation: float
    alive: bool
    attempts: int
    natural: float

    @property
    def ratio(self) -> float | None:
        """Activation over the best natural image's; None without one that activates."""
        return self.activation / self.natural if self.natural > 0 else None


def pictures_of(
    layer: LayerUnits,
    shown: Sequence[int],
    backbone: Backbone,
    home: Path,
    *,
    most: int,
    steps: int,
    size: int | None,
    on_progress: OnProgress | None = None,
) -> dict[int, Made]:
    """Make `home`/UNIT.made.webp for the `most` units (-1: all) of `shown` whose best image stands out most.

    `home`/made.json tells which are done and how; with other settings or weights all are made anew.
    """
    alive = [unit for unit in shown if not layer.silent[unit]]
    chosen = sorted(alive, key=lambda unit: -layer.contrast[unit])[: None if most < 0 else most]
    how = {"weights": backbone.spec.fingerprint, "layer": layer.layer, "steps": steps, "size": size}
    table = home / "made.json"
    made = _read(table, how)
    todo = [unit for unit in chosen if unit not in made or not _file(home, unit).exists()]
    meter = Meter(len(chosen) * steps, on_progress, done=(len(chosen) - len(todo)) * steps)
    for start in range(0, len(todo), _GROUP):
        group, before = todo[start : start + _GROUP], meter.done
        pictures = maximize(
            backbone,
            [f"{layer.layer}:{unit}" for unit in group],
            steps=steps,
            size=size,
            on_progress=lambda p, before=before: meter.step(before + p.done - meter.done),
        )
        for unit, one in zip(group, pictures, strict=True):
            Image.fromarray(one.pixels).save(_file(home, unit), quality=90)
            made[unit] = Made(one.activation, one.alive, one.attempts, float(layer.best_mean[unit]))
        units = {str(unit): asdict(one) for unit, one in sorted(made.items())}
        table.write_text(json.dumps({"how": how, "units": units}) + "\n", encoding="ascii")
    best = layer.best_mean  # of the images at hand; the pictures may have been made beside others
    return {unit: replace(made[unit], natural=float(best[unit])) for unit in chosen}


def _file(home: Path, unit: int) -> Path:
    return home / f"{unit}.made.webp"


def _read(table: Path, how: dict[str, object]) -> dict[int, Made]:
    try:
        told = json.loads(table.read_text(encoding="ascii"))
        if told["how"] != how:
            return {}
        return {int(unit): Made(**one) for unit, one in told["units"].items()}
    except (OSError, ValueError, KeyError, TypeError):  # none yet, or cut off
        return {}
