"""What keeps a table fast: few large files, indexes for filters, IVF_RQ for vectors, hardly anything unindexed."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from featurelens.errors import GalleryError
from featurelens.scale.retry import passing
from featurelens.scale.table import Table
from featurelens.scale.view import HAVE_VECTORS

EXACT_BELOW = 100_000
"""Images; below, every search compares with every vector."""
PROBES = 64  # partitions looked at; measured by benchmarks/scale_lance.py
REFINE = 20  # times k candidates are compared exactly
_WHAT = {
    "files": "to put small files together",
    "indexes": "the indexes for filters",
    "vectors": "the index for vectors: until then every search compares with all of them",
    "old": "to forget old states",
}
_SCALAR = {"id": "BTREE", "path": "BTREE", "label": "BITMAP", "status": "BITMAP"}
_SCALAR_FROM = 10_000  # rows; below, reading a column is as fast as its index
_TAIL = 0.05  # a share of rows that came after the index; they are compared one by one
_TAIL_ROWS = 20_000
_FRAGMENTS = 32  # small files that are worth putting together
_PER_FILE = 262_144
_KEEP = timedelta(days=14)  # older states that no name holds are forgotten
_VECTOR_INDEX = "vector_idx"
MakeIndex = Callable[..., None]
"""Called as make(dataset, column, kind, **shape), it does what `dataset.create_index(column, kind, **shape)` does."""


def tend(
    table: Table,
    *,
    always: bool = False,
    exact_below: int | None = None,
    make_index: MakeIndex | None = None,
    first_index: bool = True,
    note: Callable[[str], object] | None = None,
) -> list[str]:
    """Put small files together, make indexes and extend them; the names of what was done.

    Another writer may come between: then the newest version is taken and the step tried again, and what still does not
    go through is left for the next time; `note` is told of it where it will not pass by itself. `always`: as soon as one
    row is behind. `make_index`: who builds the vector index (default: this process); `first_index`: whether one is made
    where there is none.
    """
    limit, done = EXACT_BELOW if exact_below is None else exact_below, []
    for name, step in (
        ("files", _compact),
        ("indexes", _scalar_indexes),
        ("vectors", partial(_vector_index, make=(make_index or _make_here) if first_index else None)),
        ("old", _forget),
    ):
        try:
            if table.commit(lambda dataset, step=step: step(dataset, always, limit)):
                done.append(name)
        except GalleryError as error:
            if always and not passing(error):
                raise
            if note is not None and not passing(error):
                note(f"Left for the next time ({_WHAT[name]}): {error}")
    return done


def _compact(dataset: Any, always: bool, exact_below: int) -> bool:
    small = dataset.stats.dataset_stats(max_rows_per_group=1024)["num_small_files"]
    if small < (2 if always else _FRAGMENTS):
        return False
    found = dataset.optimize.compact_files(target_rows_per_fragment=_PER_FILE)
    return bool(found.fragments_removed)


def _scalar_indexes(dataset: Any, always: bool, exact_below: int) -> bool:
    count = dataset.count_rows()
    if count < min(_SCALAR_FROM, exact_below):
        return False
    have, done = _indexed_rows(dataset), False
    for column, kind in _SCALAR.items():
        name = f"{column}_idx"
        if name not in have:
            dataset.create_scalar_index(column, kind, name=name)
            done = True
        elif _is_behind(count, have[name], always):
            dataset.optimize.optimize_indices(index_names=[name])
            done = True
    return done


def _make_here(dataset: Any, column: str, kind: str, **shape: Any) -> None:
    dataset.create_index(column, kind, **shape)


def _vector_index(dataset: Any, always: bool, exact_below: int, *, make: MakeIndex | None) -> bool:
    count = dataset.count_rows(HAVE_VECTORS)
    if count < exact_below:
        return False
    have = _indexed_rows(dataset)
    if _VECTOR_INDEX not in have:
        if make is None:
            return False
        shape = {"num_partitions": partitions(count), "num_bits": 1}
        make(dataset, "vector", "IVF_RQ", name=_VECTOR_INDEX, metric="cosine", **shape)
        return True
    if not _is_behind(dataset.count_rows(), have[_VECTOR_INDEX], always):
        return False
    dataset.optimize.optimize_indices(index_names=[_VECTOR_INDEX])
    return True


def unindexed(dataset: Any) -> int | None:
    """How many rows came after the vector index; None where there is none."""
    have = _indexed_rows(dataset).get(_VECTOR_INDEX)
    return None if have is None else dataset.count_rows() - have


def partitions(count: int) -> int:
    """How many cells the vectors are divided into: about the square root of their number."""
    return max(16, round(math.sqrt(count)))


def _indexed_rows(dataset: Any) -> dict[str, int]:
    return {index.name: index.num_rows_indexed for index in dataset.describe_indices()}


def _is_behind(rows: int, indexed: int, always: bool) -> bool:
    return rows > indexed if always else rows - indexed > min(_TAIL_ROWS, _TAIL * rows)


def _forget(dataset: Any, always: bool, exact_below: int) -> bool:
    if dataset.version % 64 and not always:
        return False
    return bool(
        dataset.cleanup_old_versions(older_than=_KEEP, error_if_tagged_old_versions=False).old_versions
    )
