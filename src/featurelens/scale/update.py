"""Bringing a table up to date: plan, units of work by this process or by others, what is gone last of all."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from featurelens.backbone.protocol import Backbone
from featurelens.features.progress import Meter, OnProgress
from featurelens.scale.plan import Plan, Unit, make_plan
from featurelens.scale.sources import OnNote
from featurelens.scale.upkeep import tend
from featurelens.scale.view import HAVE_VECTORS
from featurelens.scale.work import Done, OnBatch, Worker
from featurelens.search.update import UpdateReport

if TYPE_CHECKING:
    from featurelens.scale.store import LanceStore

_TEND_EVERY = 64  # units


@dataclass(frozen=True)
class Terms:
    """How the units are to be worked on, wherever that is; can be sent to another machine."""

    address: str
    root: str
    patterns: tuple[str, ...]
    batch_size: int
    workers: int


@runtime_checkable
class Team(Protocol):
    """Others who do units: each is read, encoded and committed by one of them."""

    def __call__(
        self, terms: Terms, units: list[Unit], backbone: Backbone, on_batch: OnBatch, note: OnNote
    ) -> AbstractContextManager[Iterator[Done]]:
        """What each unit came to, in any order, for as long as the `with` runs."""
        ...


def update_table(
    store: LanceStore,
    backbone: Backbone,
    *,
    batch_size: int,
    workers: int,
    labels: bool,
    retry_skipped: bool,
    on_progress: OnProgress | None,
    team: Team | None = None,
) -> UpdateReport:
    """Plan, do the units, tend the table now and then, remove what is gone."""
    started = time.perf_counter()
    table, source = store.table, store.source
    here = [path] if (path := _own_folder(store)) is not None else []
    plan = make_plan(table, source, labels=labels, retry_skipped=retry_skipped, skip=here)
    for label, names in plan.labels.items():
        table.relabel(label, names)
    meter = Meter(plan.todo, on_progress)
    total = Done()
    if plan.units:
        on_batch = _told(meter, plan)
        if team is None:
            worker = Worker(table, source, store.settings, backbone, batch_size=batch_size, workers=workers)
            left = list(reversed(plan.units))
            while left:
                done = worker.do(left.pop(), on_batch)
                if done.taken:  # others are at the same images: go on somewhere else than they
                    random.shuffle(left)
                total += done
                if len(left) % _TEND_EVERY == _TEND_EVERY - 1:
                    tend(table)
        else:
            terms = Terms(table.address, source.root, source.patterns, batch_size, workers)
            with team(terms, plan.units, backbone, on_batch, plan.notes.append) as results:
                for number, done in enumerate(results, 1):
                    total += done
                    if (
                        number % _TEND_EVERY == 0
                    ):  # the index is made of all rows, at the end, by all machines
                        tend(table, first_index=False)
    removed = _remove(store, plan)
    dataset = table.refresh()
    indexed = dataset.count_rows(HAVE_VECTORS)
    return UpdateReport(
        added=total.added,
        changed=total.changed,
        moved=0,
        unchanged=max(0, indexed - total.added - total.changed),
        skipped=dataset.count_rows("status = 'skipped'"),
        removed=removed,
        seconds=time.perf_counter() - started,
        rate=meter.rate,
        notes=tuple(plan.notes),
    )


def _told(meter: Meter, plan: Plan) -> Callable[[int, int], object]:
    """Counts files; the total grows by what turns out to be inside of containers."""
    if not any(unit.container for unit in plan.units):
        return meter.step

    def step(done: int, failed: int) -> None:
        meter.total = max(meter.total, meter.done + done)
        meter.step(done, failed)

    return step


def _remove(store: LanceStore, plan: Plan) -> int:
    if not plan.gone:
        return 0
    before = store.table.refresh().count_rows(HAVE_VECTORS)
    store.table.delete(plan.gone)
    return max(0, before - store.table.refresh().count_rows(HAVE_VECTORS))


def _own_folder(store: LanceStore) -> Any:
    from featurelens.scale.address import local_path

    return local_path(store.table.address)
