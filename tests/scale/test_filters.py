"""The limits of a search as Lance's filters find what SQLite finds, whatever the pattern."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from featurelens.scale import tend
from featurelens.scale.columns import Row, called
from featurelens.scale.filters import where
from featurelens.scale.table import Table
from featurelens.search.rows import ids_where
from featurelens.search.schema import memory_database

NAMES = [
    "a",
    "b",
    "ab",
    "a/b",
    "a/b/a.b",
    "A/B",
    "a[b]",
    "a]b",
    "a^b",
    "a-b",
    "a\\b",
    "a.b",
    "a+b(a)",
    "a'b",
    "a%b",
    "a_b",
    "ä/b",
    "a\nb",
    "b&&a~~",
    "[b] a?*/b",
    "[b]/a",
    "b*/a",
    "caf\udce9",
]
LABELS = [None, "a", "it's"]


@pytest.fixture(scope="module", params=["plain", "indexed"])
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Table, sqlite3.Connection]:
    table = Table.create(str(tmp_path_factory.mktemp("filters") / "g.lance"), 2, {})
    connection, unit = memory_database(), np.array([1, 0], np.float32)
    rows = [Row(i, name, 1, 1, label=LABELS[i % 3], vector=unit) for i, name in enumerate(NAMES, 1)]
    table.merge(rows)
    if request.param == "indexed":
        assert tend(table, always=True, exact_below=10, first_index=False)[-1] == "indexes"
    connection.executemany(
        "INSERT INTO images (id, path, size, mtime_ns, label, status) VALUES (?, ?, 1, 1, ?, 'indexed')",
        [(row.id, os.fsencode(row.path), row.label) for row in rows],
    )
    return table, connection


@given(path=st.none() | st.text("ab/*?[]^-.\\+('%&~", max_size=8), label=st.sampled_from(LABELS))
@example(path="[^a]*", label=None)
@example(path="a[]b]b", label=None)
@example(path="*[b-", label=None)
@example(path="a[[]b]", label=None)
@example(path="caf?", label=None)
@example(path="a[b*", label=None)
@example(path="a[^b*", label=None)
@example(path="a[z-a]*", label=None)
@example(path="/b*", label=None)
@example(path="b*/", label=None)
@example(path="[b]", label=None)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_as_sqlite_finds(both: tuple[Table, sqlite3.Connection], path: str | None, label: str | None) -> None:
    table, connection = both
    expected = ids_where(connection, path, label).tolist()
    found = table.latest().to_table(columns=["id"], filter=where(path, label)).column("id").to_pylist()
    assert sorted(found) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("[b] a?*", {"[b] a?*/b"}),
        ("[b]", {"[b]/a", "b"}),  # the folder, and the glob
        ("b*/", {"b*/a"}),
        ("a[b]", {"a[b]", "ab"}),
    ],
)
def test_a_folder_is_found_by_its_name_whatever_is_in_it(
    both: tuple[Table, sqlite3.Connection], path: str, expected: set[str]
) -> None:
    table, connection = both
    found = table.latest().to_table(columns=["path"], filter=where(path, None)).column("path").to_pylist()
    assert {called(one) for one in found} == expected
    assert {NAMES[one - 1] for one in ids_where(connection, path, None)} == expected


def test_names_come_back(both: tuple[Table, sqlite3.Connection]) -> None:
    paths = (
        both[0].latest().to_table(columns=["path"], filter="status = 'indexed'").column("path").to_pylist()
    )
    assert {called(path) for path in paths} == set(NAMES)


def test_cache_is_beside(tmp_path: Path) -> None:
    """Nothing but Lance's own folders lies in a table."""
    Table.create(str(tmp_path / "g.lance"), 2, {})
    assert {path.name for path in (tmp_path / "g.lance").iterdir()} <= {"data", "_versions", "_transactions"}
