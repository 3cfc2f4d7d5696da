"""One browser, one small real gallery and one vast made-up one for all page tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, expect, sync_playwright

from featurelens.images.samples import make_samples
from featurelens.search import Gallery
from featurelens.web.app import make_app
from fixtures.serving import serving
from fixtures.vast_service import vast_service
from fixtures.watched import chromium, launch

expect.set_options(timeout=20_000)  # milliseconds; a busy machine is no fault of the page's


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if chromium() is None:
        pytest.skip("needs a Chromium on the path, which shows the pages")
    with sync_playwright() as play:
        started = launch(play)
        yield started
        started.close()


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo photos, indexed, and a file that is no picture."""
    pytest.importorskip("skimage", reason="the demo photos come with scikit-image")
    folder = tmp_path_factory.mktemp("demo")
    make_samples(folder)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    with Gallery.create(folder, backbone="embedded") as gallery:
        gallery.update()
    return folder


@pytest.fixture(scope="session")
def site(photos: Path) -> Iterator[str]:
    """The real service on the demo photos."""
    with serving(make_app(photos)) as address:
        yield address


@pytest.fixture(scope="session")
def vast() -> Iterator[str]:
    """The pages on 100,000 images that are made up."""
    with serving(vast_service(100_000)) as address:
        yield address


@pytest.fixture(scope="session")
def lab(shared: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Forty of the demo photos with a real MobileNetV2, which has layers and gradients."""
    folder = tmp_path_factory.mktemp("lab")
    for photo in sorted(photos.glob("*/*0[0-2].jpg"))[:40]:
        shutil.copy(photo, folder)
    network = f"local-dir:{shared / 'weights' / 'mobilenetv2_100.tflite_in1k'}"
    with Gallery.create(folder, backbone=network) as gallery:
        gallery.update()
    with serving(make_app(folder)) as address:
        yield address


@pytest.fixture(scope="session")
def twins(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Eight demo photos, one of them twice, and a smaller copy of another."""
    folder = tmp_path_factory.mktemp("twins")
    for photo in sorted(photos.glob("*/*-00.jpg"))[:8]:
        shutil.copy(photo, folder)
    shutil.copy(folder / "coffee-00.jpg", folder / "same-coffee.jpg")
    with Image.open(folder / "chelsea-00.jpg") as cat:
        cat.resize((cat.width * 2 // 3, cat.height * 2 // 3)).save(folder / "small-cat.jpg", quality=60)
    with Gallery.create(folder, backbone="embedded") as gallery:
        gallery.update()
    with serving(make_app(folder)) as address:
        yield address
