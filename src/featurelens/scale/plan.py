"""What is to be done: the files of the source against the rows of the table, cut into units of work."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from featurelens.errors import GalleryError
from featurelens.images.find import Found, is_below
from featurelens.scale.columns import DONE, SKIPPED, called
from featurelens.scale.sources import Source
from featurelens.scale.table import Table
from featurelens.search.rows import storable

UNIT = 512  # files of one commit: what a kill can cost
_KNOWN = ["path", "size", "mtime_ns", "status", "label", "hash"]


@dataclass(frozen=True)
class Task:
    """A file that is new or has changed (`old`: the id of its row, and its hash)."""

    id: int
    name: str
    size: int
    mtime_ns: int
    label: str | None
    old: int | None = None
    old_hash: bytes | None = None


@dataclass(frozen=True)
class Unit:
    """What one worker reads, encodes and commits at once: some files, or one container with all that it holds."""

    number: int
    tasks: tuple[Task, ...] = ()
    container: Found | None = None

    @property
    def size(self) -> int:
        """Files in it; a container counts as one until it is read."""
        return len(self.tasks) or 1


@dataclass
class Plan:
    """The units, the names whose files are gone, the labels to change, what the user should know."""

    units: list[Unit] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    labels: dict[str | None, list[str]] = field(default_factory=lambda: defaultdict(list))
    notes: list[str] = field(default_factory=list)

    @property
    def todo(self) -> int:
        """Files (or containers) to work on."""
        return sum(unit.size for unit in self.units)


def make_plan(
    table: Table,
    source: Source,
    *,
    labels: bool,
    retry_skipped: bool,
    skip: Sequence[Path] = (),
) -> Plan:
    """Compare the source with the newest version. Raises GalleryError if the source is away or suddenly empty."""
    plan = Plan()
    listed, unread = source.list(skip=skip, note=plan.notes.append)
    table.refresh()
    with table.reading() as dataset:
        if source.holds_containers:
            _containers(plan, dataset, listed, retry_skipped)
            return plan
        rows = dataset.to_table(
            columns=["id", *_KNOWN], filter="size >= 0 AND status IN ('indexed', 'skipped')"
        )
    known = {called(row["path"]): row for row in _rows(rows)}
    if not listed and known:
        raise GalleryError(
            f"The images folder {source.root} is empty, but the gallery knows {len(known):,} files from there. If it "
            "lies on a disk or a server, connect it. Nothing was changed. If you deleted all of them, delete the "
            "gallery too."
        )
    label_of = (
        source.labels([f.name for f in listed], note=plan.notes.append) if labels else lambda name: None
    )
    tasks: list[Task] = []
    for found in listed:
        row = known.pop(found.name, None)
        text = label_of(found.name)
        label = None if text is None else storable(text)
        if row is not None and row["label"] != label:
            plan.labels[label].append(found.name)
        if row is None:
            tasks.append(Task(0, found.name, found.size, found.mtime_ns, label))
        elif (row["size"], row["mtime_ns"]) != (found.size, found.mtime_ns) or (
            row["status"] == SKIPPED and (row["hash"] is None or retry_skipped)
        ):
            digest = None if row["status"] == SKIPPED and retry_skipped else row["hash"]
            tasks.append(Task(0, found.name, found.size, found.mtime_ns, label, row["id"], digest))
    plan.gone = [name for name in known if not is_below(name, unread)]
    first = table.reserve(len(tasks))
    for start in range(0, len(tasks), UNIT):
        some = tasks[start : start + UNIT]
        plan.units.append(Unit(len(plan.units), tuple(_numbered(some, first + start))))
    return plan


def _numbered(tasks: Sequence[Task], first: int) -> Iterator[Task]:
    for i, task in enumerate(tasks):
        yield Task(first + i, task.name, task.size, task.mtime_ns, task.label, task.old, task.old_hash)


def _containers(plan: Plan, dataset: Any, listed: Sequence[Found], retry_skipped: bool) -> None:
    """A container is read when its size or time differs from the ones under which it was read whole."""
    marks = dataset.to_table(columns=["path", "size", "mtime_ns"], filter=f"status = '{DONE}'")
    done = {called(row["path"]): (row["size"], row["mtime_ns"]) for row in _rows(marks)}
    for found in listed:
        if retry_skipped or done.get(found.name + "/") != (found.size, found.mtime_ns):
            plan.units.append(Unit(len(plan.units), container=found))
    if not listed:
        plan.notes.append("No tar shard or Parquet file of that name is there.")


def _rows(table: Any) -> Iterator[dict[str, Any]]:
    for batch in table.to_batches():
        yield from batch.to_pylist()
