"""Another gallery takes the place of the one that is served, and no request is lost."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from featurelens.backbone import load_backbone
from featurelens.search import Gallery
from featurelens.web.app import make_app
from fixtures.drawn import draw, draw_many, encoded
from fixtures.served import wait_for
from fixtures.serving import serving


def gallery_of(folder: Path, count: int, backbone: str) -> Path:
    draw_many(folder, count)
    with Gallery.create(folder, backbone=backbone) as gallery:
        gallery.update()
    return folder


@contextmanager
def asking(address: str, body: dict) -> Iterator[Counter]:
    """Two clients who search all the time; what they were answered."""
    found, stop = Counter(), threading.Event()

    def ask() -> None:
        with httpx.Client(timeout=30) as client:
            while not stop.is_set():
                answer = client.post(f"{address}/api/v1/search", json=body)
                found[answer.status_code, len(answer.json().get("hits", []))] += 1

    clients = [threading.Thread(target=ask) for _ in range(2)]
    for one in clients:
        one.start()
    try:
        yield found
    finally:
        stop.set()
        for one in clients:
            one.join()


def test_a_link_that_leads_to_another_gallery(tmp_path: Path):
    one = gallery_of(tmp_path / "one", 4, "classic:colour")
    two = gallery_of(tmp_path / "two", 6, "classic:hog")
    link = tmp_path / "current"
    link.symlink_to(one)
    app = make_app(link, look_s=0.05)
    with serving(app) as address, httpx.Client(base_url=address, timeout=30) as client:
        upload = client.post("/api/v1/uploads", files={"file": encoded(2)}).json()["upload"]
        with asking(address, {"ids": [1], "k": 60}) as found:
            wait_for(lambda: found[200, 4] > 5)
            (tmp_path / "new").symlink_to(two)
            os.replace(tmp_path / "new", link)
            wait_for(lambda: found[200, 6] > 5)
        assert set(found) == {(200, 4), (200, 6)}
        about = client.get("/api/v1/gallery").json()
        assert (about["images"], about["backbone"]) == (6, "classic:hog")
        hits = client.post("/api/v1/search", json={"upload": upload, "k": 1}).json()["hits"]
        assert hits[0]["name"] == "002.png", "an upload of before is embedded by the new network"
        assert hits[0]["similarity"] == pytest.approx(1, abs=1e-5)
        assert "featurelens_gallery_switches_total 1" in client.get("/metrics").text


def test_one_with_fewer_images_is_waited_for_unless_one_says_so(tmp_path: Path):
    one = gallery_of(tmp_path / "one", 4, "classic:colour")
    two = gallery_of(tmp_path / "two", 2, "classic:colour")
    link = tmp_path / "current"
    link.symlink_to(one)
    app = make_app(link, look_s=0.02)
    with serving(app) as address:
        assert app.state.keeper.warm.wait(20)
        (tmp_path / "new").symlink_to(two)
        os.replace(tmp_path / "new", link)
        looked = app.state.keeper
        wait_for(lambda: looked._grown[0] == 2)
        assert httpx.get(f"{address}/api/v1/gallery").json()["images"] == 4
        looked.look_now()
        wait_for(lambda: httpx.get(f"{address}/api/v1/gallery").json()["images"] == 2)


def test_one_that_cannot_be_opened_changes_nothing(tmp_path: Path, caplog):
    one = gallery_of(tmp_path / "one", 3, "classic:colour")
    link = tmp_path / "current"
    link.symlink_to(one)
    (tmp_path / "bad" / ".featurelens").mkdir(parents=True)
    (tmp_path / "bad" / ".featurelens" / "gallery.db").write_bytes(b"no database " * 1000)
    with serving(make_app(link, look_s=0.02)) as address:
        (tmp_path / "new").symlink_to(tmp_path / "bad")
        os.replace(tmp_path / "new", link)
        wait_for(lambda: "goes on" in caplog.text)
        assert httpx.post(f"{address}/api/v1/search", json={"ids": [1]}).status_code == 200
    assert caplog.text.count("goes on") == 1, "said once"


def test_a_table_that_is_made_anew_is_served_as_it_was_until_it_is_full_again(tmp_path: Path):
    pytest.importorskip("lance")
    from featurelens.scale import renew

    draw_many(tmp_path / "photos", 5)
    table = str(tmp_path / "photos.lance")
    with Gallery.create(tmp_path / "photos", at=table, backbone="classic:colour") as gallery:
        gallery.update()
    hog = load_backbone("classic:hog")
    app = make_app(table, look_s=0.05)
    with serving(app) as address:
        assert app.state.keeper.warm.wait(30)
        with asking(address, {"image": uri(2), "k": 60}) as found:
            wait_for(lambda: found[200, 5] > 3)
            renew(table, hog, before="colour")
            before = found[200, 5]
            wait_for(lambda: found[200, 5] > before + 3)
            draw(tmp_path / "photos" / "more.png", 9)
            with Gallery.open(table, backbone=hog) as gallery:
                gallery.update()
            wait_for(lambda: found[200, 6] > 3)
        assert {status for status, _ in found} == {200}, found
        assert httpx.get(f"{address}/api/v1/gallery").json()["backbone"] == "classic:hog"


def test_several_services_on_one_table_see_what_is_committed(tmp_path: Path):
    pytest.importorskip("lance")
    draw_many(tmp_path / "photos", 4)
    table = str(tmp_path / "photos.lance")
    with Gallery.create(tmp_path / "photos", at=table, backbone="classic:colour") as gallery:
        gallery.update()
        with serving(make_app(table)) as one, serving(make_app(table)) as two:
            body = {"image": uri(7), "k": 60}
            names = lambda address: [  # noqa: E731
                hit["name"]
                for hit in httpx.post(f"{address}/api/v1/search", json=body, timeout=30).json()["hits"]
            ]
            assert len(names(one)) == len(names(two)) == 4
            draw(tmp_path / "photos" / "seven.png", 7)
            gallery.update()
            assert names(one) == names(two)
            assert names(one)[0] == "seven.png"
            for address in (one, two):
                assert httpx.get(f"{address}/api/v1/gallery").json()["images"] == 5


def uri(seed: int) -> str:
    import base64

    return "data:image/png;base64," + base64.b64encode(encoded(seed)).decode()
