"""A resumable place for extracted vectors: parts that are committed whole, one after another."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from featurelens.backbone.protocol import Spec
from featurelens.errors import FeaturelensError, SpecMismatch
from featurelens.features.lock import WriterLock
from featurelens.features.parts import HEAD, Part, part_paths, read_head, read_part, write_head, write_part
from featurelens.features.saved import merge
from featurelens.features.table import Features


class Store:
    """Open a store for writing; a second writer gets GalleryBusy, another backbone's store SpecMismatch.

    `known` gives the stamp of every image that has its vectors; `commit` makes one more part durable.
    """

    def __init__(self, folder: Path, names: list[str], source: Spec, pooling: str, exact: bool) -> None:
        self._folder, self._names, self._source = folder, names, source
        self._how = {"pooling": pooling, "exact": exact}
        self._lock = WriterLock(folder / "writer.lock")
        self._specs: dict[str, Spec] = {}
        self.known: dict[str, str] = {}
        self._skipped: dict[str, tuple[str, str]] = {}
        self._next = 0

    def __enter__(self) -> Store:
        if self._folder.exists() and not (self._folder / HEAD).is_file():
            strangers = [p for p in self._folder.iterdir() if p.name != "writer.lock" and p.suffix != ".tmp"]
            if strangers:
                raise FeaturelensError(
                    f"{self._folder} exists and is not a store of features (it holds '{strangers[0].name}'); "
                    "give a new name for the store."
                )
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock.__enter__()
        try:
            self._begin()
        except BaseException:
            self._lock.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.__exit__(kind, error, trace)

    def _begin(self) -> None:
        for left in self._folder.glob(".*.tmp"):  # of a run that was killed; we hold the lock
            left.unlink(missing_ok=True)
        if (self._folder / HEAD).is_file():
            self._specs, head = read_head(self._folder)
            self._check(Spec.from_json(head["source"]) if "source" in head else None, head)
        paths = part_paths(self._folder)
        self._next = 1 + max((int(path.stem.removeprefix("part-")) for path in paths), default=-1)
        for path in paths:
            self._remember(read_part(path, list(self._specs)))

    def _remember(self, part: Part) -> None:
        for one, stamp, reason in part.skipped:
            self._skipped[one] = stamp, reason
            self.known.pop(one, None)
        for one, stamp in zip(part.ids, part.stamps, strict=True):
            self.known[one] = stamp
            self._skipped.pop(one, None)

    def _check(self, source: Spec | None, head: Mapping[str, Any]) -> None:
        if source is None:
            raise SpecMismatch(
                f"{self._folder} was written by Features.save and cannot be extended; give another folder."
            )
        if source.fingerprint != self._source.fingerprint:
            raise SpecMismatch(
                f"{self._folder} holds vectors of '{source.name}' ({source.fingerprint}), but the backbone "
                f"given is '{self._source.name}' ({self._source.fingerprint}). Vectors of two backbones "
                "cannot be compared: load the first, or give another folder as store."
            )
        how = {"pooling": head.get("pooling"), "exact": head.get("exact", False)}
        if sorted(self._specs) != sorted(self._names) or how != self._how:
            raise SpecMismatch(
                f"{self._folder} holds {_told(self._specs, how)} of '{source.name}', but "
                f"{_told(self._names, self._how)} was asked for. Ask for the same, or give another folder as store."
            )

    def commit(self, part: Part, specs: Mapping[str, Spec]) -> None:
        """Make one part durable; the first one also fixes what the store holds. Skipped again is no news."""
        news = tuple(one for one in part.skipped if self._skipped.get(one[0]) != one[1:])
        part = replace(part, skipped=news)
        if not part.ids and not news:
            return
        if not self._specs:
            self._specs = dict(specs)
            extra = {"source": self._source.to_json(), **self._how}
            write_head(self._folder, self._specs, extra)
        write_part(self._folder / f"part-{self._next:08d}.npz", part)
        self._next += 1
        self._remember(part)

    def result(self, specs: Mapping[str, Spec], labels: Mapping[str, str]) -> dict[str, Features]:
        """All that is in the store of the ids of `labels`, in their order, as one Features per layer."""
        parts = [read_part(path, list(self._specs)) for path in part_paths(self._folder)]
        return merge(parts, specs, order=list(labels), labels=labels)


def _told(names: Iterable[str], how: Mapping[str, Any]) -> str:
    exactly = ", decoded exactly" if how["exact"] else ""
    return f"{', '.join(names)} (pooling {how['pooling']}{exactly})"


def stamp_of(size: int, mtime_ns: int) -> str:
    """The stamp of a file: it changes whenever the file is written."""
    return f"{size}:{mtime_ns}"


def stamp_file(path: str | os.PathLike[str]) -> str:
    """The stamp of the file at `path`; "" where it cannot be read (such a file is tried again each time)."""
    try:
        status = os.stat(path)
    except OSError:
        return ""
    return stamp_of(status.st_size, status.st_mtime_ns)
