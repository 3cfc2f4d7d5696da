"""One unit of work: read, encode, and commit once; doing it twice leaves the same rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any

from featurelens.backbone.protocol import Backbone
from featurelens.backbone.reader import reader_of
from featurelens.errors import ImageError
from featurelens.features.units import unit_rows, why_unfit
from featurelens.images.address import Remote
from featurelens.images.batches import Batch
from featurelens.images.item import Item
from featurelens.images.members import Member, members
from featurelens.images.parts import in_parts
from featurelens.images.remote import open_remote
from featurelens.scale.columns import DONE, SKIPPED, Row, called, rows_of, spelt
from featurelens.scale.plan import Task, Unit
from featurelens.scale.sources import Source
from featurelens.scale.table import Table, literal
from featurelens.search.content import Content, KnownContent, NotDecoded, NotRead, Picture, load, load_bytes
from featurelens.search.rows import storable
from featurelens.search.settings import Settings

_SAME = "same"  # of a row on its way only: the file was touched, its content is the one in the table

OnBatch = Callable[[int, int], object]  # files done, of them without a vector


@dataclass(frozen=True)
class Done:
    """What a unit came to: new and changed images, files without a vector, files that another writer had done."""

    added: int = 0
    changed: int = 0
    failed: int = 0
    taken: int = 0

    def __add__(self, other: Done) -> Done:
        pairs = zip(astuple(self), astuple(other), strict=True)
        return Done(*(one + more for one, more in pairs))


class Worker:
    """Does units for one table with one backbone; a process has one."""

    def __init__(
        self,
        table: Table,
        source: Source,
        settings: Settings,
        backbone: Backbone,
        *,
        batch_size: int,
        workers: int,
    ) -> None:
        self._table, self._source, self._settings, self._backbone = table, source, settings, backbone
        self._batch_size, self._workers = batch_size, workers
        self._reader = reader_of(backbone.spec, exact=settings.exact, max_pixels=settings.max_pixels)

    def do(self, unit: Unit, on_batch: OnBatch = lambda done, failed: None) -> Done:
        """Read, encode and commit a unit; `on_batch(done, failed)` after each batch of the network."""
        if unit.container is not None:
            return self._container(unit, on_batch)
        by_name = {task.name: task for task in self._left(unit.tasks)}
        if taken := len(unit.tasks) - len(by_name):
            on_batch(taken, 0)
        rows = self._touched(list(self._rows(iter(by_name.values()), self._load_task, on_batch)))
        new = sum(task.old is None for task in by_name.values())
        inserted = self._table.merge(sorted(rows, key=lambda row: row.id))
        done = Done(taken=taken + new - inserted)
        for row in rows:
            task = by_name[row.path]
            done += _counted(row, changed=task.old is not None, same=row.id == task.old)
        return done

    def _left(self, tasks: Sequence[Task]) -> list[Task]:
        """Those that no other writer has done since the plan was made."""
        wanted = ", ".join(literal(spelt(task.name)) for task in tasks)
        where = f"path IN ({wanted})"
        columns = ["id", "path", "size", "mtime_ns"]
        held = self._table.refresh().to_table(columns=columns, filter=where).to_pylist()
        now = {called(row["path"]): (row["size"], row["mtime_ns"], row["id"]) for row in held}

        def is_left(task: Task) -> bool:
            size, mtime_ns, one = now.get(task.name, (None, None, None))
            return (size, mtime_ns) != (task.size, task.mtime_ns) or one == task.old

        return [task for task in tasks if is_left(task)]

    def _touched(self, rows: list[Row]) -> list[Row]:
        """The rows, those of files that were only touched with what the table holds of them."""
        same = {row.path: row for row in rows if row.status == _SAME}
        if not same:
            return rows
        held = {row.path: row for row in rows_of(self._table.refresh(), sorted(same))}
        whole = [row for row in rows if row.status != _SAME]
        for name, row in same.items():
            if name in held:
                whole.append(replace(held[name], size=row.size, mtime_ns=row.mtime_ns, label=row.label))
        return whole

    def _rows(self, tasks: Iterator[Any], load_one: Callable[[Any], Any], on_batch: OnBatch) -> Iterator[Row]:
        batches: Any = in_parts(
            tasks,
            load_one,
            self._backbone.embed,
            shape=self._reader.shape,
            dtype=self._reader.dtype,
            batch_size=self._batch_size,
            workers=self._workers,
            streams=max(1, self._backbone.streams),
        )
        try:
            for batch in batches:
                some = list(_of_batch(batch))
                yield from some
                on_batch(len(some), sum(row.status == SKIPPED for row in some))
        finally:
            batches.close()

    def _load_task(self, task: Task) -> tuple[Item, Picture]:
        path = self._source.place / task.name

        def known(digest: bytes) -> bool:
            return task.old_hash is not None and digest == task.old_hash

        if not isinstance(path, Remote):
            return load(path, reader=self._reader, known=known)
        try:
            with open_remote(str(path)) as (file, _):
                data = file.read()
        except ImageError as error:
            raise NotRead(error.reason) from error
        return load_bytes(data, task.mtime_ns, reader=self._reader, known=known)

    def _container(self, unit: Unit, on_batch: OnBatch) -> Done:
        """All images of a container, its own row if it is damaged, and the mark that it was read, in one commit."""
        container = unit.container
        assert container is not None
        broken: list[str] = []

        def tasks() -> Iterator[tuple[Task, Member]]:
            try:
                for i, member in enumerate(members(container.path)):
                    label = None if member.label is None else storable(member.label)
                    size = len(member.data or b"")
                    yield Task(i, f"{container.name}/{member.name}", size, container.mtime_ns, label), member
            except ImageError as error:
                broken.append(error.reason)

        def load_one(item: tuple[Task, Member]) -> tuple[Item, Picture]:
            task, member = item
            if member.data is None:
                raise NotDecoded(member.problem, Content(0, task.mtime_ns, b""))
            return load_bytes(member.data, task.mtime_ns, reader=self._reader, known=lambda digest: False)

        found = {
            row.path: row for row in sorted(self._rows(tasks(), load_one, on_batch), key=lambda row: row.id)
        }
        before = self._inside(container.name)
        if broken:
            found[container.name] = Row(
                0, container.name, container.size, container.mtime_ns, status=SKIPPED, reason=broken[0]
            )
        first = self._table.reserve(len(found))
        rows = [replace(row, id=first + i) for i, row in enumerate(found.values())]
        mark = Row(0, container.name + "/", container.size, container.mtime_ns, status=DONE)
        self._table.merge([*rows, mark])
        self._table.delete(sorted(before - set(found)))
        done = Done()
        for row in rows:
            done += _counted(row, changed=row.path in before, same=False)
        return done

    def _inside(self, name: str) -> set[str]:
        """The names of the rows that came from a container, its own among them."""
        start = literal(spelt(name) + "/")
        where = f"status != '{DONE}' AND (path = {literal(spelt(name))} OR starts_with(path, {start}))"
        table = self._table.refresh().to_table(columns=["path"], filter=where)
        return {called(path) for path in table.column("path").to_pylist()}


def _of_batch(batch: Batch[Any, Picture, Any]) -> Iterator[Row]:
    if batch.result is not None:
        units, good = unit_rows(batch.result)
        for i, (item, picture) in enumerate(zip(batch.items, batch.metas, strict=True)):
            task, content = _task(item), picture.content
            if good[i]:
                yield Row(
                    task.id, task.name, content.size, content.mtime_ns, content.hash, picture.width,
                    picture.height, picture.format, task.label, vector=units[i],
                )  # fmt: skip
            else:
                yield _skipped(task, why_unfit(batch.result[i]), content)
    for item, error in batch.failures:
        task = _task(item)
        if isinstance(error, KnownContent):
            size, time = error.content.size, error.content.mtime_ns
            yield Row(task.old or 0, task.name, size, time, label=task.label, status=_SAME)
        else:
            yield _skipped(task, error.reason, error.content if isinstance(error, NotDecoded) else None)


def _task(item: Any) -> Task:
    return item if isinstance(item, Task) else item[0]


def _skipped(task: Task, reason: str, content: Content | None) -> Row:
    if content is None:  # never read: tried again at the next update
        return Row(
            task.id,
            task.name,
            task.size,
            task.mtime_ns,
            None,
            label=task.label,
            status=SKIPPED,
            reason=reason,
        )
    return Row(
        task.id, task.name, content.size, content.mtime_ns, content.hash, label=task.label, status=SKIPPED,
        reason=reason,
    )  # fmt: skip


def _counted(row: Row, *, changed: bool, same: bool) -> Done:
    if row.status == SKIPPED:
        return Done(failed=1)
    if same:
        return Done()
    return Done(changed=1) if changed else Done(added=1)
