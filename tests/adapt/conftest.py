"""Photos to learn from and a network that learns, shared by the tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from featurelens.backbone.torch_backbone import TorchBackbone
from fixtures.learning import draw_classes, network


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_classes(tmp_path_factory.mktemp("photos") / "photos")


@pytest.fixture(scope="session")
def small() -> TorchBackbone:
    """A small ResNet: batch norm, four stages."""
    return network()
