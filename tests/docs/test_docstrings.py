"""The examples in the docstrings run and say the truth."""

from __future__ import annotations

import doctest
import pkgutil
from importlib import import_module
from pathlib import Path

import pytest

import featurelens

MODULES = [
    m.name for m in pkgutil.walk_packages(featurelens.__path__, "featurelens.") if ".cli." not in m.name
]


@pytest.mark.parametrize("module", MODULES)
def test_examples(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert doctest.testmod(import_module(module)).failed == 0


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder()
    found = {m for m in MODULES if any(test.examples for test in finder.find(import_module(m)))}
    assert {"featurelens.features.extract", "featurelens.search.gallery"} <= found
