"""Finished batches, gathered into parts that are worth a commit."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from featurelens.features.parts import EMBEDDING, Part
from featurelens.features.units import unit_rows, why_unfit
from featurelens.images.batches import Batch

COMMIT_ROWS = 1024
COMMIT_SECONDS = 10.0


class Gather:
    """Collect batches and hand `commit` a part every 1,024 images or 10 seconds, and at `flush`."""

    def __init__(self, names: list[str], commit: Callable[[Part], object]) -> None:
        self._names, self._commit = names, commit
        self._waiting: list[Part] = []
        self._since = time.monotonic()

    def add(self, batch: Batch) -> tuple[int, int]:
        """Take one batch; returns how many images it held and how many of them gave no vector."""
        part = _part(batch)
        self._waiting.append(part)
        rows = sum(len(p.ids) + len(p.skipped) for p in self._waiting)
        if rows >= COMMIT_ROWS or time.monotonic() - self._since > COMMIT_SECONDS:
            self.flush()
        return len(part.ids) + len(part.skipped), len(part.skipped)

    def flush(self) -> None:
        """Commit what is waiting."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._commit(_joined(waiting, self._names))
        self._since = time.monotonic()


def _part(batch: Batch) -> Part:
    skipped = [(s.id, s.stamp, error.reason) for s, error in batch.failures]
    units, good = {}, np.ones(len(batch.items), bool)
    raw = {} if batch.result is None else batch.result
    for name in raw:
        units[name], fine = unit_rows(raw[name])
        for i in np.flatnonzero(good & ~fine):
            source, why = batch.items[i], why_unfit(raw[name][i])
            skipped.append((source.id, source.stamp, why if name == EMBEDDING else f"layer {name}: {why}"))
        good &= fine
    kept = [source for source, fine in zip(batch.items, good, strict=True) if fine]
    vectors = {name: rows[good] for name, rows in units.items()}
    ids, stamps, labels = ([getattr(s, a) for s in kept] for a in ("id", "stamp", "label"))
    return Part(tuple(ids), tuple(stamps), tuple(labels), tuple(skipped), vectors)


def _joined(parts: list[Part], names: list[str]) -> Part:
    def chained(field: str) -> tuple[Any, ...]:
        return tuple(one for part in parts for one in getattr(part, field))

    filled = [part.vectors for part in parts if part.vectors]
    vectors = {
        name: np.concatenate([v[name] for v in filled]) if filled else np.empty((0, 0), np.float32)
        for name in names
    }
    return Part(chained("ids"), chained("stamps"), chained("labels"), chained("skipped"), vectors)
