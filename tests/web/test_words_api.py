"""Words over HTTP: in the search, in OpenAI's embeddings, in the regions of an image; and where there are none."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from featurelens.search import Gallery
from featurelens.web.app import make_app
from fixtures.galleries import filled
from fixtures.served import called
from fixtures.worded import WordedBackbone, paint


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Gallery:
    folder = tmp_path_factory.mktemp("painted")
    paint(folder, ["red", "green", "blue", "red-blue", "red-green"], each=4)
    return filled(folder, WordedBackbone())  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def worded(painted: Gallery) -> Iterator[TestClient]:
    with called(make_app(painted)) as client:
        yield client


def kinds(answer) -> set[str]:
    assert answer.status_code == 200, answer.text
    return {hit["name"].rpartition("-")[0] for hit in answer.json()["hits"]}


def one(client: TestClient, kind: str) -> int:
    return client.get("/api/v1/images", params={"path": f"{kind}-0.png"}).json()["images"][0]["id"]


def test_words_alone_and_beside_an_image(worded: TestClient) -> None:
    assert worded.get("/api/v1/gallery").json()["text"] is True
    found = worded.post("/api/v1/search", json={"text": "green", "k": 4})
    assert kinds(found) == {"green"}
    assert found.json()["nothing_matches_below"] is None
    assert found.json()["query"] == {"text": "green", "k": 4}
    like = {"ids": [one(worded, "red-green")], "text": "blue", "less_text": "green", "k": 4}
    assert kinds(worded.post("/api/v1/search", json=like)) == {"red-blue"}
    light = {"ids": [one(worded, "red-green")], "text": "blue", "text_weight": 0.05, "k": 4}
    assert kinds(worded.post("/api/v1/search", json=light)) == {"red-green"}


def test_the_similarity_is_that_of_the_gallery(worded: TestClient, painted: Gallery) -> None:
    ours = worded.post("/api/v1/search", json={"text": "red blue", "k": 20}).json()["hits"]
    theirs = painted.search(text="red blue", k=20)
    assert [(hit["id"], hit["similarity"]) for hit in ours] == [
        (hit.id, pytest.approx(hit.similarity, abs=1e-6)) for hit in theirs
    ]


def test_texts_and_images_are_embedded_in_their_order(worded: TestClient, painted: Gallery) -> None:
    hit = painted.images()[0]
    uri = "data:image/png;base64," + base64.b64encode(Path(hit.path).read_bytes()).decode()
    asked = {"model": "worded", "input": ["green", uri, "a red chair"]}
    found = [each["embedding"] for each in worded.post("/v1/embeddings", json=asked).json()["data"]]
    texts = WordedBackbone().embed_text(["green", "a red chair"])
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    np.testing.assert_allclose(found, [texts[0], painted.vector(hit.id), texts[1]], atol=1e-5)


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({"less": [1], "text": "red"}, 422, "without `less`"),
        ({"text": "red", "ids": [1], "box": [0, 0, 1, 1]}, 422, "box is drawn on one image"),
        ({"text": "  "}, 422, "empty text"),
        ({"text": "red", "text_weight": 0}, 422, "text_weight"),
        ({"text": "x" * 2001}, 422, "2000"),
        ({}, 422, "Give something to search with"),
    ],
)
def test_what_cannot_be_asked_is_told(worded: TestClient, body: dict, status: int, told: str) -> None:
    answer = worded.post("/api/v1/search", json=body)
    assert (answer.status_code, told in answer.json()["detail"]) == (status, True), answer.text


def test_a_gallery_without_words_says_what_to_index_with(client: TestClient) -> None:
    assert client.get("/api/v1/gallery").json()["text"] is False
    answer = client.post("/api/v1/search", json={"text": "red"})
    assert answer.status_code == 409
    assert "takes only images" in answer.json()["detail"]
    asked = {"model": client.get("/v1/models").json()["data"][0]["id"], "input": "red"}
    assert "data URI" in client.post("/v1/embeddings", json=asked).json()["error"]["message"]


def test_where_words_apply_in_an_image(worded: TestClient) -> None:
    """The left half is red, the right half blue."""
    asked = {"text": "blue", "id": one(worded, "red-blue")}
    found = worded.post("/api/v1/match-text", json=asked).json()
    assert (found["kind"], found["map"]["rows"], found["map"]["cols"]) == ("split", 4, 4)
    values = np.reshape(found["map"]["values"], (4, 4))
    assert values[:, 2:].min() > values[:, :2].max()
    assert values.sum() + found["residual"] == pytest.approx(found["similarity"], abs=1e-3)
    assert found["map"]["picture"].startswith("data:image/")


def test_where_words_apply_needs_words_and_a_network_for_them(worded: TestClient, client: TestClient) -> None:
    assert worded.post("/api/v1/match-text", json={"text": "blue", "id": 999}).status_code == 404
    assert worded.post("/api/v1/match-text", json={"text": "", "id": 1}).status_code == 422
    answer = client.post("/api/v1/match-text", json={"text": "blue", "id": 1})
    assert (answer.status_code, "takes only images" in answer.json()["detail"]) == (409, True)
