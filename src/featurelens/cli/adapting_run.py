"""What `featurelens adapt` shows: how far two domains lie apart, the progress, before and after."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from featurelens.adapt.domain.adapting import METHODS, Adapting
from featurelens.adapt.domain.candidates import Candidate
from featurelens.adapt.domain.criteria import CRITERIA
from featurelens.adapt.domain.outcome import Adapted
from featurelens.adapt.domain.run import adapt_domain
from featurelens.adapt.domain.teach import Checkpoint
from featurelens.adapt.frozen_features import frozen_features
from featurelens.assess.shift import Shift, shift
from featurelens.cli.terminal import notice, print_json, progress_bar, say, say_skipped, show
from featurelens.durable import write_file
from featurelens.features.table import Features

_GRAPHS = ("embedded", "onnx:", "classic:", "fused:", "clip:")


def load(name: str, *, device: str, pretrained: bool, weights: Path | None) -> Any:
    """The backbone on torch, so that the result has its layers; those that are mere graphs as they are."""
    from featurelens.backbone import load_backbone

    engine = "auto" if name.startswith(_GRAPHS) else "torch"
    return load_backbone(
        name, engine=engine, device=device, pretrained=pretrained, weights=weights, say=say
    )  # fmt: skip


def teach(
    source: Path, target: Path, net: Any, adapting: Adapting, folder: Path, *, keep_going: Callable[[], bool]
) -> Adapted:
    """`adapt_domain` with a bar for each domain's features and one for each method's steps."""
    with _Bars(keep_going) as bars:
        return adapt_domain(
            source, target, net, adapting, out=folder, keep_going=keep_going, on_features=bars.features,
            on_step=bars.step,
        )  # fmt: skip


class _Bars:
    """One bar for each piece of work, closed when the next begins."""

    def __init__(self, keep_going: Callable[[], bool]) -> None:
        self._keep_going, self._open, self._now = keep_going, ExitStack(), ""
        self._domains, self._done = 0, 0

    def __enter__(self) -> _Bars:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def features(self, progress: Any) -> None:
        if progress.done < self._done or not self._domains:
            self._domains += 1
        self._done = progress.done
        self._show(f"Embedding the {'source' if self._domains == 1 else 'target'}", "images")
        self._advance(progress.done, progress.total, progress.failed)
        if not self._keep_going():
            raise KeyboardInterrupt  # what was extracted is committed on the way out

    def step(self, method: str, done: int, total: int, epoch: Checkpoint | None) -> None:
        self._show(f"Learning ({method})", "steps")
        self._advance(done, total)

    def _show(self, title: str, unit: str) -> None:
        if title != self._now:
            self._open.close()
            self._now = title
            self._advance = self._open.enter_context(progress_bar(title, unit=unit))


def shifts_of(adapted: Adapted, net: Any) -> dict[str, Shift]:
    """The shift between both domains before and after, in the features that each is seen by."""
    return {
        when: shift(*_both(adapted, one, net), seed=adapted.adapting.seed)
        for when, one in (("before", adapted.unadapted), ("after", adapted.chosen))
    }


def _both(adapted: Adapted, one: Candidate, net: Any) -> tuple[Features, Features]:
    names = [*adapted.classes, ""]  # class number -1 has no name
    sides = (
        (adapted.source_ids, one.source, adapted.source_codes),
        (adapted.target_ids, one.target, adapted.target_codes),
    )
    return tuple(  # pyright: ignore[reportReturnType]
        Features.from_raw(ids, rows, net.spec, labels=[names[code] for code in codes])
        for ids, rows, codes in sides
    )


def keep_shifts(shifts: Mapping[str, Shift], folder: Path) -> None:
    """`shift.json` beside the other results."""
    text = json.dumps({when: one.to_json() for when, one in shifts.items()}, indent=2) + "\n"
    write_file(folder / "shift.json", lambda file: file.write(text.encode("utf-8", "surrogateescape")))


def show_shift(
    source: Path, target: Path, net: Any, folder: Path, *, keep_going: Callable[[], bool], as_json: bool
) -> None:
    """Only the measures of the shift, of `--dry-run`; the features are kept for the run itself."""
    with _Bars(keep_going) as bars:
        sides = [
            frozen_features(images, net, store=folder / name, on_progress=bars.features)
            for images, name in ((source, "source"), (target, "target"))
        ]
    found = shift(*(Features.from_raw(s.ids, s.rows, net.spec, labels=s.labels) for s in sides))
    if as_json:
        print_json(found.to_json())
        return
    show_measures({"": found})


def show_measures(shifts: Mapping[str, Shift]) -> None:
    """The measures of one or two shifts side by side, then the classes that moved most."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("how far apart", min_width=24)
    for when in shifts:
        table.add_column(when or "value", justify="right")
        table.add_column("95 % interval", justify="right")
    table.add_column("no shift gives", justify="right")
    first = next(iter(shifts.values()))
    for name, one in first.measures.items():
        cells = []
        for found in shifts.values():
            m = found.measures[name]
            cells += [_number(m.value) if m.defined else "–", _span(m.interval)]
        table.add_row(name, *cells, "–" if one.chance is None else _number(one.chance))
    show(table)
    moved = [f"{name} {one.value:.3f}" for name, one in list(first.classes.items())[:3] if one.defined]
    if len(first.classes) > 1 and moved:
        notice(f"Classes that lie furthest apart (MMD²): {', '.join(moved)}.")
    if first.mixture is not None and first.mixture > 0.1:
        notice(
            f"The classes are mixed differently: {first.mixture:.0%} of the images would have to change class."
        )


def show_result(adapted: Adapted, shifts: Mapping[str, Shift]) -> None:
    """The shift, every method at its chosen epoch, and the target before and after."""
    from rich.table import Table

    say_skipped(adapted.skipped)
    show_measures(shifts)
    print()
    known = adapted.before is not None
    table = Table(box=None, pad_edge=False)
    for name in ("method", "epoch", *CRITERIA, *(["target accuracy"] if known else []), "source accuracy"):
        table.add_column(name, justify="left" if name == "method" else "right")
    for one in _best_of_each(adapted):
        chosen = one.method == adapted.method and one.epoch == adapted.epoch
        accuracy = [_share(one.target_accuracy)] if known else []
        criteria = ["–" if one.criteria[c] is None else f"{one.criteria[c]:.3f}" for c in CRITERIA]
        table.add_row(
            one.method + (" *" if chosen else ""), str(one.epoch or "–"), *criteria, *accuracy,
            _share(one.source_accuracy),
        )  # fmt: skip
    show(table)
    print(f"* taken, by {adapted.adapting.criterion} (higher is better; no target label took part)")
    if adapted.before and adapted.after and adapted.change:
        (low, high), (a, b) = adapted.change.interval, adapted.after.interval
        print(
            f"Target accuracy {adapted.before.accuracy:.3f} before, {adapted.after.accuracy:.3f} after [{a:.3f}, {b:.3f}]: "
            f"{adapted.change.difference:+.3f} ({low:+.3f} to {high:+.3f}) on {adapted.change.n} labelled images."
        )


def warn(text: str) -> None:
    """One warning on stderr."""
    notice(text, mark="Mind:", style="bold yellow")


def _best_of_each(adapted: Adapted) -> list[Checkpoint]:
    criterion = adapted.adapting.criterion
    found: dict[str, Checkpoint] = {}
    for one in adapted.tried:
        value, best = one.criteria[criterion], found.get(one.method)
        if best is None or (value is not None and value > (best.criteria[criterion] or float("-inf"))):
            found[one.method] = one
    order = ("none", *METHODS)
    return sorted(found.values(), key=lambda one: order.index(one.method))


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) >= 0.001 or value == 0 else f"{value:.1e}"


def _span(interval: tuple[float, float] | None) -> str:
    return "–" if interval is None else f"{_number(interval[0])} to {_number(interval[1])}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
