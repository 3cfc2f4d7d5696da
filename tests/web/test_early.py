"""Pages before there is an app: a browser can load them, everything else waits, and the guard stands from the beginning."""

from __future__ import annotations

import logging
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from featurelens.errors import GalleryError
from featurelens.web.app import make_app
from featurelens.web.early import Early
from featurelens.web.tokens import Tokens
from fixtures.drawn import draw_many
from fixtures.galleries import filled
from fixtures.serving import serving


@pytest.fixture
def go() -> threading.Event:
    return threading.Event()


def early(tmp_path, go: threading.Event, token: str | None = None) -> Early:
    draw_many(tmp_path, 3)
    gallery, tokens = filled(tmp_path), Tokens(token)

    def make():
        assert go.wait(30)
        return make_app(gallery, token=tokens)

    return Early(make, tokens=tokens)


def test_pages_come_at_once_and_the_rest_waits(tmp_path, go: threading.Event):
    with serving(early(tmp_path, go)) as address, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(httpx.get, f"{address}/api/v1/gallery", timeout=30)
        page = httpx.get(address)
        assert page.status_code == 200
        assert "default-src 'self'" in page.headers["content-security-policy"]
        files = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text))
        assert len(files) > 5
        for path in files:
            assert httpx.get(address + path).status_code == 200, path
        assert httpx.get(f"{address}/static/old/lib/api.js").status_code == 404
        assert not waiting.done()
        go.set()
        assert waiting.result(30).json()["images"] == 3
        later = httpx.get(address)
        assert later.text == page.text
        assert all(httpx.get(address + path).status_code == 200 for path in files)


def test_strangers_are_kept_out_from_the_beginning(tmp_path, go: threading.Event):
    with serving(early(tmp_path, go, token="right")) as address:
        assert httpx.get(address).status_code == 401
        assert httpx.get(address, headers={"host": "evil.example"}).status_code == 403
        assert httpx.get(f"{address}/api/v1/gallery").status_code == 401
        with httpx.Client(base_url=address, follow_redirects=True) as client:
            assert "<html" in client.get("/?token=right").text
            go.set()
            assert client.get("/api/v1/gallery", timeout=30).json()["images"] == 3


def test_what_came_early_is_counted_and_logged_like_all_else(tmp_path, go: threading.Event, caplog):
    """Refused or answered before there is an app, or handed on to it: each once."""
    caplog.set_level(logging.INFO, "featurelens.access")
    right = {"authorization": "Bearer right"}
    with serving(early(tmp_path, go, token="right")) as address, ThreadPoolExecutor(1) as pool:
        refused = [httpx.get(address), httpx.post(f"{address}/v1/embeddings"), httpx.get(f"{address}/none")]
        assert [one.status_code for one in refused] == [401] * 3
        page = httpx.get(address, headers=right)
        file = re.search(r'(?:src|href)="(/static/[^"]+)"', page.text)
        assert file is not None
        httpx.get(address + file[1], headers=right)
        waiting = pool.submit(httpx.get, f"{address}/api/v1/gallery", headers=right, timeout=30)
        go.set()
        answer = waiting.result(30)
        text = httpx.get(f"{address}/metrics", headers=right).text
        late = httpx.get(f"{address}/api/v1/gallery", headers=right)
    counts = {
        found.groups(): int(found[3])
        for found in re.finditer(r'requests_total\{method="\w+",route="(.+)",status="(\d+)"\} (\d+)', text)
    }
    assert sorted(counts) == [
        ("/", "200", "1"),
        ("/api/v1/gallery", "200", "1"),
        ("/static/{version}/{path:path}", "200", "1"),
        ("/v1/embeddings", "401", "1"),
        ("other", "401", "2"),
    ]
    ids = [one.headers["x-request-id"] for one in (*refused, page, answer, late)]
    logged = [record.fields["id"] for record in caplog.records if record.name == "featurelens.access"]
    assert len(logged) == len(set(logged)) == 8
    assert set(ids) <= set(logged)


def test_an_app_that_cannot_be_made_ends_the_server_with_its_error(go: threading.Event):
    failed = threading.Event()

    def make():
        assert go.wait(30)
        raise GalleryError("There is no gallery in /home/ann.")

    app = Early(make, tokens=Tokens(), on_failure=failed.set)
    with serving(app) as address, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(httpx.get, f"{address}/api/v1/gallery", timeout=30)
        go.set()
        assert failed.wait(20)
        assert isinstance(app.error, GalleryError)
        answer = waiting.result(30)
        assert answer.status_code == 503
        assert "ann" not in answer.text
