"""A small gallery of drawn images, served."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from featurelens.search import Gallery
from featurelens.web.app import make_app
from fixtures.drawn import draw, draw_many
from fixtures.galleries import filled
from fixtures.numpy_backbone import NumpyBackbone
from fixtures.served import called


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirteen drawings in three places, and a file that is no image."""
    folder = tmp_path_factory.mktemp("photos")
    draw_many(folder / "cat", 6)
    draw_many(folder / "dog", 6, first=6)
    draw(folder / "top.png", 12)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not really")
    return folder


@pytest.fixture(scope="module")
def gallery(photos: Path) -> Gallery:
    """The gallery of the photos; the served app closes it."""
    return filled(photos, NumpyBackbone())


@pytest.fixture(scope="module")
def client(gallery: Gallery) -> Iterator[TestClient]:
    """The served gallery, without a port."""
    with called(make_app(gallery)) as client:
        yield client
