"""Bring a gallery up to date: only new, changed, moved and deleted files cost work."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

from featurelens.backbone.protocol import Backbone
from featurelens.backbone.reader import reader_of
from featurelens.features.progress import Meter, OnProgress
from featurelens.features.units import unit_rows, why_unfit
from featurelens.images.batches import Batch
from featurelens.images.parts import in_parts
from featurelens.search.content import Content, KnownContent, NotDecoded, Picture, load
from featurelens.search.ledger import Ledger, Work
from featurelens.search.plan import Plan
from featurelens.search.rows import count
from featurelens.search.settings import Settings, write_settings


@dataclass(frozen=True)
class UpdateReport:
    """What an update did. Every file of the tree is in exactly one of the first four, or in `skipped`.

    added, changed, moved, unchanged: indexed images; skipped: all files without a vector, new or
    known; removed: images whose files are gone. rate: files worked on a second. notes: what the user
    should know, such as folders that could not be read.
    """

    added: int
    changed: int
    moved: int
    unchanged: int
    skipped: int
    removed: int
    seconds: float
    rate: float
    notes: tuple[str, ...] = ()


class Updater:
    """One update of one gallery, by the process that holds the writer's lock."""

    def __init__(
        self,
        writer: sqlite3.Connection,
        reader: sqlite3.Connection,
        settings: Settings,
        backbone: Backbone,
        *,
        batch_size: int,
        workers: int,
        on_progress: OnProgress | None,
    ) -> None:
        self._ledger, self._plan, self._reader = Ledger(writer), Plan(writer), reader
        self._settings, self._backbone = settings, backbone
        self._batch_size, self._workers, self._on_progress = batch_size, workers, on_progress
        self._done = {"added": 0, "changed": 0, "moved": 0}
        self._again: list[Work] = []

    def run(
        self, *, own: Path, label_of: Any, retry_skipped: bool, notes: Iterable[str] = ()
    ) -> UpdateReport:
        """Walk, embed, commit in small batches, and remove what is gone last of all."""
        started = time.perf_counter()
        self._plan.make(self._settings.images, own=own, label_of=label_of, again=retry_skipped)
        meter = Meter(self._plan.todo, self._on_progress)
        with self._ledger.transaction():
            write_settings(self._ledger.connection, own, self._settings)  # the images may lie elsewhere now
            self._plan.relabel()
        self._embed(self._plan.work(), meter, _Known(self._reader, decoded_only=retry_skipped))
        again, self._again = self._again, []
        self._embed(again, meter, lambda digest: False)
        removed = self._remove()
        connection = self._ledger.connection
        indexed = count(connection, "indexed")
        return UpdateReport(
            **self._done,
            unchanged=indexed - sum(self._done.values()),
            skipped=count(connection, "skipped"),
            removed=removed,
            seconds=time.perf_counter() - started,
            rate=meter.rate,
            notes=(*notes, *self._plan.notes),
        )

    def _embed(self, works: Iterable[Work], meter: Meter, known: Callable[[bytes], bool]) -> None:
        root, settings = self._settings.images, self._settings
        reader = reader_of(self._backbone.spec, exact=settings.exact, max_pixels=settings.max_pixels)
        batches: Any = in_parts(
            works,
            lambda work: load(root / work.name, reader=reader, known=known),
            self._backbone.embed,
            shape=reader.shape,
            dtype=reader.dtype,
            batch_size=self._batch_size,
            workers=self._workers,
            streams=max(1, self._backbone.streams),
        )
        try:
            for batch in batches:
                waiting = len(self._again)
                with self._ledger.transaction():
                    failed = self._commit(batch)
                waiting = len(self._again) - waiting
                meter.step(len(batch.items) + len(batch.failures) - waiting, failed)
        finally:
            batches.close()

    def _commit(self, batch: Batch[Work, Picture, Any]) -> int:
        """One batch into the ledger, in the order of the plan; returns how many of its files got no vector."""
        steps: list[tuple[int, Callable[[], bool]]] = []
        if batch.result is not None:
            units, good = unit_rows(batch.result)
            for i, (work, picture) in enumerate(zip(batch.items, batch.metas, strict=True)):
                step = (
                    partial(self._put, work, picture, units[i])
                    if good[i]
                    else partial(self._skip, work, why_unfit(batch.result[i]), picture.content)
                )
                steps.append((work.n, step))
        for work, error in batch.failures:
            if isinstance(error, KnownContent):
                steps.append((work.n, partial(self._reuse, work, error.content)))
            else:
                content = error.content if isinstance(error, NotDecoded) else None
                steps.append((work.n, partial(self._skip, work, error.reason, content)))
        return sum(step() for _, step in sorted(steps, key=lambda one: one[0]))

    def _put(self, work: Work, picture: Picture, unit: Any) -> bool:
        self._ledger.put(work, picture, unit)
        self._done["added" if work.old is None else "changed"] += 1
        return False

    def _skip(self, work: Work, reason: str, content: Content | None) -> bool:
        self._ledger.skip(work, reason, content)
        return True

    def _reuse(self, work: Work, content: Content) -> bool:
        """The content is known: the file is only touched, renamed or a copy. True if it has no vector."""
        if self._ledger.same(work, content):
            return False
        if (row := self._plan.missing_twin(content.hash)) is not None:
            self._plan.found(row)
            self._ledger.move(row, work, content)
            what = "moved"
        elif (row := self._ledger.twin(content.hash)) is not None:
            row = self._ledger.copy(row, work, content)
            what = "added" if work.old is None else "changed"
        else:  # its row was replaced since: two files have changed places
            self._again.append(work)
            return False
        indexed = self._ledger.is_indexed(row)
        self._done[what] += indexed
        return not indexed

    def _remove(self) -> int:
        removed = 0
        while ids := self._plan.take_missing():
            with self._ledger.transaction():
                removed += sum(map(self._ledger.is_indexed, ids))
                for one in ids:
                    self._ledger.delete(one)
        return removed


class _Known:
    """Whether the ledger, as committed, holds these bytes; asked by the decoding threads."""

    def __init__(self, reader: sqlite3.Connection, *, decoded_only: bool) -> None:
        self._reader, self._lock = reader, Lock()
        self._query = "SELECT 1 FROM images WHERE hash = ?" + " AND status = 'indexed'" * decoded_only

    def __call__(self, digest: bytes) -> bool:
        with self._lock:
            return self._reader.execute(self._query, (digest,)).fetchone() is not None
