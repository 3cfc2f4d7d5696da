"""One cache of exported bundles for all tests of this room: an export takes seconds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An own cache folder, and no way to the network, while it is in use."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEATURELENS_CACHE", str(folder))
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("HF_HOME", str(folder / "hub"))
        yield folder


@pytest.fixture(scope="session")
def pixels() -> np.ndarray:
    """Seven noisy images of 160 × 160, the size of timm's test networks."""
    return np.random.default_rng(1).integers(0, 256, (7, 160, 160, 3), dtype=np.uint8)
