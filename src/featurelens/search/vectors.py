"""All vectors of a gallery for searching: a memory-mapped cache file, and what came after it."""

from __future__ import annotations

import sqlite3
from array import array
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from featurelens.search.cache import Entry, State, intact, made
from featurelens.search.failures import damaged
from featurelens.shapes import Bool, Float32, Int

NAME = "vectors"
KIND = "float32"
_VERIFY_BELOW = 1 << 30
_PAGE = 4096


@dataclass(frozen=True)
class Block:
    """Rows with ascending ids; `dead` marks those that are gone from the database (None: no row is)."""

    ids: Int[np.ndarray, " row"]
    vectors: Float32[np.ndarray, "row dim"]
    dead: Bool[np.ndarray, " row"] | None = None


@dataclass(frozen=True)
class Snapshot:
    """The vectors at one moment; never changed, so any thread may search it."""

    state: State
    blocks: tuple[Block, ...]

    @property
    def alive(self) -> int:
        """How many vectors it holds, dead ones left out."""
        return sum(len(b.ids) - (0 if b.dead is None else int(b.dead.sum())) for b in self.blocks)


class Vectors:
    """Keeps a snapshot up to date; cheap when nothing or little has changed. Not for two threads at once."""

    def __init__(self, folder: Path, dim: int, epoch: str, cached: Entry | None) -> None:
        self._folder, self._dim, self._epoch = folder, dim, epoch
        self._tail_ids = np.empty(0, np.int64)
        self._tail = np.empty((0, dim), np.float32)
        self._used = 0
        self._dead_tail = np.empty(0, bool)
        self.snapshot = Snapshot(State(epoch, 0, 0), ())
        self._base: Block | None = None
        if cached is not None:
            self._load(cached)

    def refresh(self, connection: sqlite3.Connection) -> Snapshot:
        """Read what was added and removed since the last call, in one transaction; nothing, if it is interrupted."""
        self._used = sum(len(block.ids) for block in self.snapshot.blocks)
        self._used -= 0 if self._base is None else len(self._base.ids)
        connection.execute("BEGIN")
        try:
            (gone,) = connection.execute("SELECT coalesce(max(n), 0) FROM gone").fetchone()
            before = self.snapshot.state
            top = self._read_new(connection, before.top)
            query = "SELECT id FROM gone WHERE n > ?"
            lost = np.fromiter((r[0] for r in connection.execute(query, (before.gone,))), np.int64)
        finally:
            connection.execute("COMMIT")
        if top == before.top and gone == before.gone:
            return self.snapshot
        self._bury(lost)
        tail = Block(
            self._tail_ids[: self._used],
            self._tail[: self._used],
            self._dead_tail[: self._used].copy() if self._dead_tail[: self._used].any() else None,
        )
        blocks = tuple(b for b in (self._base, tail) if b is not None and len(b.ids))
        self.snapshot = Snapshot(State(self._epoch, top, gone), blocks)
        return self.snapshot

    def _read_new(self, connection: sqlite3.Connection, top: int) -> int:
        rows = connection.execute("SELECT image, vector FROM vectors WHERE image > ? ORDER BY image", (top,))
        while page := rows.fetchmany(_PAGE):
            need = self._used + len(page)
            if need > len(self._tail_ids):
                self._grow(max(need, 2 * self._used, 256))
            self._tail_ids[self._used : need] = [row[0] for row in page]
            joined = b"".join(row[1] for row in page)
            if len(joined) != len(page) * self._dim * 4:
                raise damaged(self._folder, "a vector has the wrong length")
            self._tail[self._used : need] = np.frombuffer(joined, np.float32).reshape(len(page), self._dim)
            self._used = need
            top = page[-1][0]
        return top

    def _grow(self, size: int) -> None:
        """Larger buffers; older snapshots keep the old ones."""
        ids, vectors = np.empty(size, np.int64), np.empty((size, self._dim), np.float32)
        dead = np.zeros(size, bool)
        ids[: self._used], vectors[: self._used] = self._tail_ids[: self._used], self._tail[: self._used]
        dead[: len(self._dead_tail)] = self._dead_tail
        self._tail, self._dead_tail, self._tail_ids = vectors, dead, ids  # last what is asked for the size

    def _bury(self, lost: Int[np.ndarray, " row"]) -> None:
        if not len(lost):
            return
        if self._base is not None:
            dead = np.zeros(len(self._base.ids), bool) if self._base.dead is None else self._base.dead.copy()
            dead[positions(self._base.ids, lost)] = True
            self._base = replace(self._base, dead=dead if dead.any() else None)
        self._dead_tail[positions(self._tail_ids[: self._used], lost)] = True

    def _load(self, cached: Entry) -> None:
        if cached.size < _VERIFY_BELOW and not intact(self._folder, cached):
            return
        try:
            ids, vectors = _mapped(self._folder, cached)
        except (OSError, ValueError):
            return  # replaced by a newer one just now: the database has all of it
        if len(ids) and (ids[-1] > cached.state.top or (np.diff(ids) <= 0).any()):
            return
        self._base = Block(ids, vectors)
        self.snapshot = Snapshot(cached.state, (self._base,))


def write_cache(connection: sqlite3.Connection, folder: Path, dim: int, epoch: str) -> Entry:
    """Write all vectors of the database into a new cache file, a page at a time: vectors first, then ids."""

    def write(path: Path) -> tuple[int, State]:
        ids = array("q")
        connection.execute("BEGIN")
        try:
            (gone,) = connection.execute("SELECT coalesce(max(n), 0) FROM gone").fetchone()
            rows = connection.execute("SELECT image, vector FROM vectors ORDER BY image")
            with open(path, "wb") as file:
                while page := rows.fetchmany(_PAGE):
                    ids.extend(row[0] for row in page)
                    file.writelines(row[1] for row in page)
                file.write(ids.tobytes())
        finally:
            connection.execute("COMMIT")
        return len(ids), State(epoch, ids[-1] if ids else 0, gone)

    return made(folder, NAME, write, dim=dim, kind=KIND)


def sample(snapshot: Snapshot, most: int) -> Float32[np.ndarray, "row dim"]:
    """Up to `most` of the living rows, evenly spread over the order of indexing."""
    step = max(1, -(-snapshot.alive // most))
    parts, before = [], 0
    for block in snapshot.blocks:
        at = np.arange(len(block.ids)) if block.dead is None else np.flatnonzero(~block.dead)
        parts.append(np.asarray(block.vectors[at[-before % step :: step]]))
        before += len(at)
    return np.concatenate(parts) if parts else np.empty((0, 0), np.float32)


def vectors_of(snapshot: Snapshot, ids: Int[np.ndarray, " row"]) -> Float32[np.ndarray, "row dim"]:
    """The rows of these ids in their order, as they were when the snapshot was taken; KeyError for one it lacks."""
    found: dict[int, np.ndarray] = {}
    for block in snapshot.blocks:
        at = positions(block.ids, ids)
        found.update(zip(block.ids[at].tolist(), block.vectors[at], strict=True))
    return np.stack([found[one] for one in ids.tolist()])


def positions(ids: Int[np.ndarray, " row"], wanted: Int[np.ndarray, " wanted"]) -> Int[np.ndarray, " found"]:
    """Where the wanted ids stand in ascending `ids`; those that are not there are left out."""
    at = np.searchsorted(ids, wanted)
    inside = at < len(ids)
    at = at[inside]
    return at[ids[at] == wanted[inside]]


def _mapped(folder: Path, entry: Entry) -> tuple[Int[np.ndarray, " row"], Float32[np.ndarray, "row dim"]]:
    path, shape = folder / entry.file, (entry.rows, entry.dim)
    if not entry.rows:
        return np.empty(0, np.int64), np.empty(shape, np.float32)
    vectors = np.memmap(path, np.float32, "r", shape=shape)
    return np.fromfile(path, np.int64, entry.rows, offset=vectors.nbytes), vectors.view(np.ndarray)
