"""Names typed by a user: found, misspelt, or brought by a plugin."""

from __future__ import annotations

import pytest

from featurelens.catalog import Catalog, unknown
from featurelens.errors import FeaturelensError, UnknownName

SHAPES = Catalog("shape", {"path": "pathlib:Path", "counter": "collections:Counter"})


def test_a_name_is_imported_only_when_loaded() -> None:
    assert sorted(SHAPES) == ["counter", "path"]
    assert SHAPES.load("counter").__name__ == "Counter"


def test_a_typo_lists_what_comes_close() -> None:
    with pytest.raises(UnknownName, match=r"no shape named 'countr'.*counter"):
        SHAPES.load("countr")


def test_a_short_catalog_is_listed_whole_and_a_long_one_is_not() -> None:
    assert "Known: counter, path" in str(unknown("shape", "zzz", SHAPES))
    assert "None of the 500" in str(unknown("shape", "zzz", [f"name{i}" for i in range(500)]))


def test_every_error_is_a_featurelens_error() -> None:
    from featurelens import errors

    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, Exception)]
    assert all(issubclass(k, FeaturelensError) for k in kinds)
