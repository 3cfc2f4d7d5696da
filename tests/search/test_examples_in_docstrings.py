"""The examples in the docstrings of `features` and `search` run and say the truth."""

from __future__ import annotations

import doctest
import pkgutil
from importlib import import_module

import pytest

import featurelens.features
import featurelens.search

ROOMS = (featurelens.features, featurelens.search)
MODULES = [f"{room.__name__}.{m.name}" for room in ROOMS for m in pkgutil.iter_modules(room.__path__)]


@pytest.mark.parametrize("module", MODULES)
def test_examples(module):
    assert doctest.testmod(import_module(module)).failed == 0


def test_there_are_examples():
    found = {m for m in MODULES if any(t.examples for t in doctest.DocTestFinder().find(import_module(m)))}
    assert {"featurelens.features.extract", "featurelens.search.gallery"} <= found
