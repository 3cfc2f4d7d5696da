"""Tables in a temporary folder and on moto's S3; every test has caches of its own."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

if find_spec("lance") is None:  # not imported here: featurelens sets it up before it does
    pytest.skip("tables need pylance (extra scale)", allow_module_level=True)

from fixtures.s3_server import ENVIRONMENT, Store, s3_server


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEATURELENS_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """An S3 that the usual variables point to."""
    from featurelens.images.remote import _file_system

    with s3_server() as (endpoint, store):
        for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": endpoint}.items():
            monkeypatch.setenv(name, value)
        _file_system.cache_clear()
        yield store
    _file_system.cache_clear()


def put_folder(store: Store, bucket: str, folder: Path) -> None:
    """Copy a folder into a bucket."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            store.put(f"{bucket}/{path.relative_to(folder.parent).as_posix()}", path.read_bytes())
