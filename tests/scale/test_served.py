"""Services without state of their own on one table in a bucket: each picks up what is committed."""

from __future__ import annotations

import base64
from pathlib import Path

import httpx

from featurelens.search import Gallery
from featurelens.web.app import make_app
from fixtures.drawn import draw_many, encoded
from fixtures.s3_server import Store
from fixtures.served import wait_for
from fixtures.serving import serving
from scale.conftest import put_folder


def test_two_services_on_a_bucket_see_what_is_committed(tmp_path: Path, s3: Store) -> None:
    draw_many(tmp_path / "photos", 4)
    put_folder(s3, "pics", tmp_path / "photos")
    table = "s3://pics/photos.lance"
    body = {"image": "data:image/png;base64," + base64.b64encode(encoded(7)).decode(), "k": 60}
    with Gallery.create("s3://pics/photos", at=table, backbone="classic:colour") as gallery:
        gallery.update()
        with serving(make_app(table)) as one, serving(make_app(table)) as two:

            def names(address: str) -> list[str]:
                answer = httpx.post(f"{address}/api/v1/search", json=body, timeout=30)
                assert answer.status_code == 200, answer.text
                return [hit["name"] for hit in answer.json()["hits"]]

            assert names(one) == names(two)
            assert len(names(one)) == 4
            s3.put("pics/photos/seven.png", encoded(7))
            gallery.update()
            for address in (one, two):
                wait_for(lambda address=address: names(address)[0] == "seven.png")
                assert len(names(address)) == 5
                hits = httpx.post(f"{address}/api/v1/search", json=body, timeout=30).json()["hits"]
                original = httpx.get(f"{address}/api/v1/images/{hits[0]['id']}/file")
                assert original.content == encoded(7)
