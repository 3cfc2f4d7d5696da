"""When the cache files are written anew; nothing here is needed for a vector to be durable or found."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from featurelens.search import hnsw, vectors
from featurelens.search.cache import Entry, entry_of, intact, publish
from featurelens.search.nearest import GRAPH_FROM
from featurelens.search.rows import count
from featurelens.search.vectors import Vectors

CACHE_FROM = 4_000  # below, reading the vectors from the database is as fast
STALE = 0.1  # a cache is rewritten when more than this share of the rows came or went after it


def write_caches(
    connection: sqlite3.Connection,
    folder: Path,
    dim: int,
    epoch: str,
    *,
    threads: int,
    always: bool = False,
    note: Callable[[str], object] | None = None,
) -> list[str]:
    """Bring those cache files up to date that have fallen behind (`always`: by a single row); their names.

    With `note` the files are read, half a second a GiB, and those that do not hold what was written are written anew:
    it is told of them. Only the process that holds the writer's lock calls this.
    """
    alive = count(connection, "indexed")
    limit = 0.0 if always else STALE * alive
    written = []
    cached = entry_of(connection, folder, vectors.NAME, dim=dim, kind=vectors.KIND)
    if alive >= CACHE_FROM and note is not None:
        cached = _sound(folder, cached, note)
    if alive >= CACHE_FROM and _behind(connection, cached, alive) > limit:
        cached = vectors.write_cache(connection, folder, dim, epoch)
        publish(connection, folder, vectors.NAME, cached)
        written.append(vectors.NAME)
    graph = entry_of(connection, folder, hnsw.NAME, dim=dim, kind=hnsw.KIND)
    if alive >= GRAPH_FROM and note is not None:
        graph = _sound(folder, graph, note)
    if alive >= GRAPH_FROM and _behind(connection, graph, alive) > limit:
        snapshot = Vectors(folder, dim, epoch, cached).refresh(connection)
        publish(
            connection, folder, hnsw.NAME, hnsw.write_graph(folder, dim, snapshot, graph, threads=threads)
        )
        written.append(hnsw.NAME)
    return written


def _sound(folder: Path, entry: Entry | None, note: Callable[[str], object]) -> Entry | None:
    """The entry, or None if its file is not what was written."""
    if entry is None or intact(folder, entry):
        return entry
    note(
        f"{folder / entry.file} no longer holds what was written into it (a failing disk, or a file put back from "
        "elsewhere) and is made anew from the database. Nothing is lost by this; if it comes again, see to the disk."
    )
    return None


def _behind(connection: sqlite3.Connection, entry: Entry | None, alive: int) -> int:
    """How many rows came or went since the cache was written, at most: ids of skipped files count as new ones.

    Counting the rows themselves would cost each small batch a walk over all that came before it.
    """
    if entry is None:
        return alive
    (top,) = connection.execute("SELECT coalesce(max(image), 0) FROM vectors").fetchone()
    (gone,) = connection.execute("SELECT coalesce(max(n), 0) FROM gone").fetchone()
    return max(0, top - entry.state.top) + gone - entry.state.gone
