"""Shapes are checked in the tests only: the compute rooms are imported under jaxtyping and beartype."""

from __future__ import annotations

from pathlib import Path

import pytest
from jaxtyping import install_import_hook

import fixtures.checked  # noqa: F401 (the hook takes it by its name)

_ROOMS = ("images", "backbone", "features", "see", "assess", "adapt", "nn", "search", "export")
_hook = install_import_hook([f"featurelens.{room}" for room in _ROOMS], "fixtures.checked.checked")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real photos, hostile files and real weights beside the checkout; skips without it."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the real photos and weights in {SHARED}, which a user's clone does not have")
    return SHARED
