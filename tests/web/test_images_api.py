"""The gallery at rest: pages of images, thumbnails, originals, what was skipped."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from featurelens.features import Features
from featurelens.search import Gallery
from featurelens.web.app import make_app
from fixtures.drawn import draw, draw_many
from fixtures.galleries import filled
from fixtures.numpy_backbone import NumpyBackbone
from fixtures.served import called


def test_what_is_served(client, photos: Path):
    told = client.get("/api/v1/gallery").json()
    assert told["name"] == photos.name
    assert (told["images"], told["skipped"], told["dim"]) == (13, 1, 16)
    assert told["folders"] == ["cat", "dog"]
    assert told["fit"] == {"rows": 32, "cols": 32, "mode": "squash"}
    assert told["extras"].keys() == {"lab", "maps"}
    assert told["indexing"] is None


def test_pages_are_by_name_and_cover_everything_once(client, gallery: Gallery):
    names = []
    for offset in range(0, 20, 4):
        page = client.get("/api/v1/images", params={"offset": offset, "limit": 4}).json()
        assert page["total"] == 13
        names += [one["name"] for one in page["images"]]
    assert names == [hit.name for hit in gallery.images()]


def test_filters_of_a_page(client):
    dogs = client.get("/api/v1/images", params={"path": "dog", "limit": 2, "offset": 3}).json()
    assert dogs["total"] == 6
    assert [one["name"] for one in dogs["images"]] == ["dog/009.png", "dog/010.png"]
    assert client.get("/api/v1/images", params={"label": "cat"}).json()["total"] == 6
    assert client.get("/api/v1/images", params={"label": "none"}).json() == {"total": 0, "images": []}


def test_images_by_id_come_in_the_order_asked_for(client):
    ids = [9, 2, 77, 5]
    found = client.get("/api/v1/images", params={"ids": "9,2,77,5"}).json()
    posted = client.post("/api/v1/images", json={"ids": ids}).json()
    assert [one["id"] for one in found["images"]] == [9, 2, 5]
    assert posted["images"] == found["images"]
    assert client.get("/api/v1/images/9").json() == found["images"][0]
    assert client.get("/api/v1/images/77").status_code == 404


def test_a_thumbnail_is_small_and_kept(client):
    answer = client.get("/api/v1/images/3/thumbnail", params={"side": 30})
    assert answer.headers["content-type"] == "image/webp"
    assert "immutable" not in answer.headers["cache-control"], "another gallery may have this id"
    own = client.get(client.get("/api/v1/images/3").json()["thumbnail"])
    assert "immutable" in own.headers["cache-control"]
    other = client.get("/api/v1/images/3/thumbnail", params={"of": "00000000"})
    assert "immutable" not in other.headers["cache-control"]
    assert max(Image.open(io.BytesIO(answer.content)).size) == 48  # never enlarged
    assert client.get("/api/v1/images/77/thumbnail").status_code == 404
    assert client.get("/api/v1/images/3/thumbnail", params={"side": 10**6}).status_code == 422


def test_the_original_comes_once(client, gallery: Gallery):
    answer = client.get("/api/v1/images/3/file")
    assert answer.content == gallery.image(3).path.read_bytes()
    assert answer.headers["content-type"] == "image/png"
    again = client.get("/api/v1/images/3/file", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_what_was_skipped_and_why(client):
    (one,) = client.get("/api/v1/skipped").json()["skipped"]
    assert one["name"] == "broken.jpg"
    assert "damaged" in one["reason"] or "JPEG" in one["reason"]


def test_no_file_outside_of_the_images_folder(tmp_path: Path):
    """A gallery can hold names that were given, not found; they open nothing elsewhere."""
    outside = draw(tmp_path / "secret.png", 1)
    draw_many(tmp_path / "photos", 2)
    gallery = filled(tmp_path / "photos", NumpyBackbone())
    names = (str(outside), "../secret.png", "cat/../../secret.png")
    vectors = np.random.default_rng(0).normal(size=(3, 16)).astype(np.float32)
    gallery.add(Features(names, vectors / np.linalg.norm(vectors, axis=1, keepdims=True), gallery.spec))
    ids = {hit.name: hit.id for hit in gallery.images()}
    with called(make_app(gallery)) as client:
        for name in names:
            one = ids[name]
            for path in (f"/api/v1/images/{one}/file", f"/api/v1/images/{one}/thumbnail"):
                assert client.get(path).status_code == 404, (name, path)
            pair = {"query": {"id": one}, "id": ids["000.png"]}
            assert client.post("/api/v1/match", json=pair).status_code == 404
            boxed = {"ids": [one], "box": [0, 0, 1, 1]}
            assert client.post("/api/v1/search", json=boxed).status_code == 404
            assert client.post("/api/v1/search", json={"ids": [one]}).status_code == 200
        assert client.get(f"/api/v1/images/{ids['000.png']}/file").status_code == 200


def test_an_original_that_became_something_else_is_not_given_out(tmp_path: Path):
    draw_many(tmp_path, 2)
    gallery = filled(tmp_path, NumpyBackbone())
    with called(make_app(gallery)) as client:
        (tmp_path / "000.png").write_text("<script>alert(1)</script>")
        answer = client.get("/api/v1/images/1/file")
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
        (tmp_path / "000.png").unlink()
        assert client.get("/api/v1/images/1/file").status_code == 404
