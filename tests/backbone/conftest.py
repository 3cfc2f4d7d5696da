"""One cache of exported bundles for all tests of this room: an export takes seconds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `cache` names."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def cache(cache_folder: Path) -> Iterator[Path]:
    """An own cache folder shared by the modules of this room, and no way to the network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEATURELENS_CACHE", str(cache_folder))
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("HF_HOME", str(cache_folder / "hub"))
        yield cache_folder


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder that holds nothing yet, for one test."""
    monkeypatch.setenv("FEATURELENS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def pixels() -> np.ndarray:
    """Seven noisy images of 160 × 160, the size of timm's test networks."""
    return np.random.default_rng(1).integers(0, 256, (7, 160, 160, 3), dtype=np.uint8)
