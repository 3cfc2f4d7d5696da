"""Concepts over HTTP: learned as a job, listed, looked at one by one, searched with; and when they are not the gallery's."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from featurelens.adapt.concepts import Concepts
from featurelens.search import Gallery
from featurelens.web.app import make_app
from featurelens.web.jobs import Jobs
from fixtures.galleries import filled
from fixtures.served import called, wait_for
from fixtures.worded import WordedBackbone, paint

KINDS = ("red", "green", "blue", "red-blue")


@pytest.fixture
def painted(tmp_path: Path) -> Gallery:
    for kind in KINDS:
        paint(tmp_path / "photos" / kind, [kind], each=6)
    return filled(tmp_path / "photos", WordedBackbone(), at=tmp_path / "gallery")  # type: ignore[arg-type]


@pytest.fixture
def client(painted: Gallery) -> Iterator[TestClient]:
    with called(make_app(painted)) as client:
        yield client


def learn(client: TestClient, **options: str) -> dict:
    started = client.post("/api/v1/jobs", json={"kind": "concepts", **options})
    assert started.status_code == 202, started.text
    address = f"/api/v1/jobs/{started.json()['id']}"
    wait_for(lambda: client.get(address).json()["state"] not in ("queued", "running"), 60)
    job = client.get(address).json()
    assert job["state"] == "done", job
    return job["result"]


def search(client: TestClient, **asked: object) -> list[tuple[str, float]]:
    answer = client.post("/api/v1/search", json=asked)
    assert answer.status_code == 200, answer.text
    assert answer.json()["nothing_matches_below"] is None
    return [(hit["name"], hit["similarity"]) for hit in answer.json()["hits"]]


def test_nothing_before_they_are_learned(client: TestClient) -> None:
    said = client.get("/api/v1/concepts").json()
    assert (said["made"], said["concepts"], said["patches"]) == (None, [], True)
    assert client.get("/api/v1/gallery").json()["concepts"] is False
    for answer in (
        client.get("/api/v1/concepts/0"),
        client.post("/api/v1/search", json={"concepts": [{"number": 0}]}),
    ):
        assert (answer.status_code, answer.json()["job_kind"]) == (409, "concepts")


def test_they_are_learned_told_and_searched_with(client: TestClient, painted: Gallery) -> None:
    assert learn(client)["images"] == 24
    own = Concepts.load(painted.folder / "concepts")
    assert (painted.folder / "concepts" / "concepts.html").is_file()
    said = client.get("/api/v1/concepts", params={"top": 3}).json()
    assert (said["of"], said["searchable"], said["strange"], said["images"]) == ("pooled", True, None, 24)
    assert [one["frequency"] for one in said["concepts"]] == sorted(
        (one.frequency for one in own.concepts), reverse=True
    )
    number = next(one["number"] for one in said["concepts"] if one["purity"])
    one = client.get(f"/api/v1/concepts/{number}").json()
    theirs = own[number]
    assert [(e["image"]["name"], e["activation"]) for e in one["exemplars"]] == [
        (e.image, pytest.approx(e.activation)) for e in theirs.exemplars
    ]
    assert len(said["concepts"][0]["exemplars"]) <= 3
    fires = own.dictionary.encode(painted.features().vectors)[:, number] > 0
    labels = np.array(painted.features().labels)
    for share in one["labels"]:
        assert (share["fires"], share["images"]) == (int(fires[labels == share["label"]].sum()), 6)
    hits = search(client, concepts=[{"number": number}], k=5)
    assert hits == [
        (hit.name, pytest.approx(hit.similarity, abs=1e-6))
        for hit in painted.search(own.direction(number), k=5)
    ]


def test_a_query_is_led_along_concepts(client: TestClient, painted: Gallery) -> None:
    learn(client)
    own = Concepts.load(painted.folder / "concepts")
    first = painted.images()[0]
    for weights in ({0: 0.5, 1: -0.3}, {2: 1.0}):
        asked = [{"number": number, "weight": weight} for number, weight in weights.items()]
        led = own.steer(painted.vector(first.id), weights)
        expected = [(hit.name, pytest.approx(hit.similarity, abs=1e-6)) for hit in painted.search(led, k=4)]
        assert search(client, ids=[first.id], concepts=asked, k=4) == expected
    twice = [{"number": 2, "weight": 0.25}, {"number": 2, "weight": 0.75}]
    assert search(client, ids=[first.id], concepts=twice, k=4) == expected
    worded = search(client, ids=[first.id], concepts=[{"number": 0, "weight": 0.5}], text="green", k=4)
    led = own.steer(painted.vector(first.id), {0: 0.5})
    assert worded == [
        (hit.name, pytest.approx(hit.similarity, abs=1e-6)) for hit in painted.search(led, text="green", k=4)
    ]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"concepts": [{"number": 99}]}, "There is no concept 99"),
        ({"concepts": [{"number": 0, "weight": 0}]}, "cancel"),
        ({"concepts": [{"number": 0}], "less": [1]}, "without `less`"),
        ({"concepts": [{"number": 0}], "ids": [1], "box": [0, 0, 1, 1]}, "box is drawn on one image"),
        ({"concepts": [{"number": -1}]}, "concepts"),
    ],
)
def test_what_cannot_be_asked_is_told(client: TestClient, painted: Gallery, asked: dict, told: str) -> None:
    learn(client)
    answer = client.post("/api/v1/search", json=asked)
    assert (answer.status_code, told in answer.json()["detail"]) == (422, True), answer.text
    assert client.post("/api/v1/jobs", json={"kind": "index", "of": "pooled"}).status_code == 422
    assert client.get("/api/v1/concepts/99").status_code == 404


def test_patches_come_lit_where_they_fire(client: TestClient, painted: Gallery) -> None:
    """Of an image of two colours a concept of one is fully lit in its half, and dimmed in the other."""
    learn(client, of="patches")
    own = Concepts.load(painted.folder / "concepts")
    looked = 0
    for one in client.get("/api/v1/concepts", params={"top": 9}).json()["concepts"]:
        for exemplar, theirs in zip(one["exemplars"], own[one["number"]].exemplars, strict=True):
            assert theirs.where is not None
            assert exemplar["place"] == pytest.approx(theirs.place)
            left, right = theirs.where[:, 0].mean(), theirs.where[:, 3].mean()
            if min(left, right) > 0.02 * max(left, right):
                continue
            picture = client.get(exemplar["picture"])
            assert picture.headers["content-type"] == "image/webp"
            seen = np.asarray(Image.open(io.BytesIO(picture.content)).convert("RGB"), np.float32)
            file = painted.images_folder / theirs.image
            plain = np.asarray(Image.open(file).convert("RGB").resize((256, 256)), np.float32)
            sides = [seen[:, part].mean() / plain[:, part].mean() for part in (slice(0, 64), slice(192, 256))]
            assert max(sides) > 0.9
            assert min(sides) < 0.5
            assert (sides[0] > sides[1]) == (left > right)
            looked += 1
    assert looked, "no concept fires in one half of an image alone"
    number = own.concepts[0].number
    assert client.get(f"/api/v1/concepts/{number}/exemplars/99/picture").status_code == 404


def test_another_state_of_the_gallery_is_told(client: TestClient, painted: Gallery) -> None:
    learn(client)
    gone = painted.images()[0]
    gone.path.unlink()
    paint(painted.images_folder / "red", ["red"], each=8)
    painted.update()
    said = client.get("/api/v1/concepts").json()
    assert "has changed since" in said["strange"]
    assert said["searchable"] is True
    left = [e for one in said["concepts"] for e in one["exemplars"] if e["image"] is None]
    assert all(e["picture"] is None for e in left)
    learn(client)
    assert client.get("/api/v1/concepts").json()["strange"] is None


def test_concepts_of_another_network_are_shown_but_not_searched_with(
    client: TestClient, painted: Gallery
) -> None:
    learn(client)
    home = painted.folder / "concepts"
    own = Concepts.load(home)
    replace(own, spec=replace(own.spec, weights="others")).save(home)
    said = client.get("/api/v1/concepts").json()
    assert "other weights" in said["strange"]
    assert (said["searchable"], len(said["concepts"])) == (False, len(own))
    assert client.post("/api/v1/search", json={"concepts": [{"number": 0}]}).status_code == 409
    replace(own, origin="").save(home)
    assert "not known which" in client.get("/api/v1/concepts").json()["strange"]
    (home / "concepts.npz").write_bytes(b"PK\x03\x04 cut off")
    answer = client.get("/api/v1/concepts")
    assert (answer.status_code, "Learn them anew" in answer.json()["detail"]) == (409, True)


def test_each_stage_of_a_job_has_its_own_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second stage is a thousand times faster: what is left is told by its own pace."""
    clock = [0.0]
    monkeypatch.setattr("featurelens.web.jobs.time.perf_counter", lambda: clock[0])
    seen = []
    jobs = Jobs()

    def work(report):
        for step in range(1, 11):
            clock[0] += 10
            report(step, 10)
        for step in range(1, 101):
            clock[0] += 0.01
            report(step, 100)
            seen.append(job().left_s)

    def job():
        return jobs.all()[0]

    jobs.start("x", work)
    wait_for(lambda: job().state == "done")
    assert seen[49] == pytest.approx(0.5, rel=0.1)
