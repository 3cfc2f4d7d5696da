"""A gallery of sounds in the service: found by words and by id, played, shown by its spectrogram; no uploads."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from featurelens.backbone import load_backbone
from featurelens.search import Gallery
from featurelens.web.app import make_app
from fixtures.made_sounds import write_sounds
from fixtures.served import called


@pytest.fixture(scope="module")
def client(clap: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder: Path = tmp_path_factory.mktemp("served")
    write_sounds(folder, each=2)
    gallery = Gallery.create(folder, backbone=load_backbone(f"clap:{clap.folder}", device="cpu", threads=1))
    gallery.update(workers=1)
    with called(make_app(gallery)) as client:
        yield client


def test_it_is_found_played_and_shown(client: TestClient) -> None:
    told = client.get("/api/v1/gallery").json()
    assert (told["images"], told["text"], told["backbone"]) == (6, True, "clap:clap"), "no path of the server"
    found = client.post("/api/v1/search", json={"text": "rain on a roof", "k": 3})
    assert found.status_code == 200, found.text
    hit = found.json()["hits"][0]
    like = client.post("/api/v1/search", json={"ids": [hit["id"]], "k": 2}).json()["hits"]
    assert like[0]["id"] == hit["id"]
    played = client.get(f"/api/v1/images/{hit['id']}/file")
    assert played.headers["content-type"] == "audio/wav"
    assert played.content[:4] == b"RIFF"
    part = client.get(f"/api/v1/images/{hit['id']}/file", headers={"range": "bytes=0-9"})
    assert (part.status_code, len(part.content)) == (206, 10)
    picture = Image.open(io.BytesIO(client.get(hit["thumbnail"]).content))
    assert picture.size == (256, 160)


def test_an_upload_is_refused_in_plain_words(client: TestClient) -> None:
    sent = client.post("/api/v1/uploads", files={"file": ("x.png", b"\x89PNG\r\n\x1a\n....")})
    assert sent.status_code == 422
    assert "This gallery holds sounds" in sent.json()["detail"]


def test_they_are_called_by_their_name(client: TestClient) -> None:
    assert client.get("/api/v1/gallery").json()["things"] == "sounds"
