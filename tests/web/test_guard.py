"""Who is let in: DNS rebinding, cross-site requests, the token, long and slow bodies, path traversal."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import pytest

from featurelens.web.app import make_app
from featurelens.web.guard import Guard
from featurelens.web.limits import Limits
from featurelens.web.logs import JsonLines
from featurelens.web.tokens import Tokens
from fixtures.drawn import draw_many
from fixtures.galleries import filled
from fixtures.numpy_backbone import NumpyBackbone
from fixtures.served import called
from fixtures.serving import serving

OTHERS = [
    "evil.example",
    "127.0.0.1.evil.example",
    "localhost.evil.example:80",
    "evil@127.0.0.1",
    "127.0.0.1/evil",
    "192.168.1.7",
    "0.0.0.0",
    "127.0.0.2",
    "[::ffff:1.2.3.4]",
    "[::1",
    "",
]


@pytest.mark.parametrize("host", OTHERS)
def test_a_name_that_was_rebound_to_this_machine_gets_nothing(client, host: str):
    for path in ("/", "/api/v1/gallery", "/openapi.json", "/metrics", "/nowhere", "/static/x/y.js"):
        answer = client.get(path, headers={"host": host})
        assert answer.status_code == 403, (host, path)
        assert "photos" not in answer.text


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8765", "LOCALHOST:1", "localhost.", "[::1]:8765"])
def test_the_names_of_this_machine_are_let_in(client, host: str):
    assert client.get("/health", headers={"host": host}).status_code == 200


CROSS = [
    {"origin": "http://evil.example"},
    {"origin": "null"},
    {"origin": "https://127.0.0.1"},  # another scheme is another site
    {"origin": "http://127.0.0.1:9999"},  # as is another port
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
]


@pytest.mark.parametrize("headers", CROSS)
def test_a_page_of_another_site_can_neither_read_nor_do_anything(client, headers):
    for method, path in (
        ("POST", "/api/v1/jobs"),
        ("POST", "/api/v1/uploads"),
        ("POST", "/v1/embeddings"),
        ("DELETE", "/api/v1/jobs/x"),
        ("GET", "/api/v1/images/1/thumbnail"),
        ("GET", "/metrics"),
    ):
        answer = client.request(method, path, headers=headers, content="{}")
        assert answer.status_code == 403, (method, path)
    assert client.get("/api/v1/jobs").json() == {"jobs": []}


def test_a_link_on_another_site_may_open_the_page_and_its_own_requests_work(client, gallery):
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert client.get("/", headers=link).status_code == 200
    own = {"origin": "http://127.0.0.1", "sec-fetch-site": "same-origin"}
    assert (
        client.post("/api/v1/search", json={"ids": [gallery.images()[0].id]}, headers=own).status_code == 200
    )


def test_every_answer_has_the_headers(client):
    for path in ("/", "/api/v1/gallery", "/api/v1/images/1/thumbnail", "/nowhere", "/api/v1/images/x"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in headers
    assert "content-security-policy" in client.get("/", headers={"host": "evil.example"}).headers


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/x/..%2f..%2fapp.py",
        "/static//etc/passwd",
        "/static/x/%00",
        "/api/v1/images/..%2f..%2f1/file",
        "/api/v1/images/%2Fetc%2Fpasswd/file",
        "/api/v1/images/1/..%2f..%2fgallery.db",
        "/api/v1/uploads/..%2f1/thumbnail",
        "/api/v1/images/1/layers/..%2f..%2fx/sheet.png",
    ],
)
def test_no_path_leads_out(client, path: str):
    answer = client.get(path)
    assert 400 <= answer.status_code < 500
    assert "import" not in answer.text
    assert "root:" not in answer.text


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    """A gallery that is served with a token."""
    folder = tmp_path_factory.mktemp("locked")
    draw_many(folder, 3)
    at = tmp_path_factory.mktemp("gallery") / "of locked"
    app = make_app(filled(folder, NumpyBackbone(), at=at), token="let-me-in")
    with called(app, follow_redirects=False) as client:
        yield client, folder


def test_without_the_token_nothing_is_told(locked):
    client, _ = locked
    for path in (
        "/",
        "/api/v1/gallery",
        "/metrics",
        "/v1/models",
        "/openapi.json",
        "/nowhere",
        "/?token=wrong",
    ):
        answer = client.get(path)
        assert answer.status_code == 401, path
        assert answer.headers["www-authenticate"] == "Bearer"
    for wrong in ("Bearer let-me-i", "Basic let-me-in", "Bearer", "let-me-in", "Bearer é"):
        sent = {"authorization": wrong.encode()}
        assert client.get("/api/v1/gallery", headers=sent).status_code == 401
    assert client.get("/health").json()["status"] == "ok"


def test_refused_requests_are_limited_counted_and_logged(tmp_path, caplog):
    draw_many(tmp_path, 2)
    app = make_app(
        filled(tmp_path, NumpyBackbone()), token="let-me-in", limits=Limits(body=1000, rate=0.01, burst=3)
    )
    right = {"authorization": "Bearer let-me-in"}
    with caplog.at_level(logging.INFO, "featurelens.access"), called(app) as client:
        answers = [
            client.get("/api/v1/gallery", headers={"authorization": "Bearer guess"}),
            client.get("/api/v1/gallery", headers={**right, "host": "evil.example"}),
            client.post("/api/v1/search", headers=right, content=b"x" * 2000),
            client.get("/api/v1/gallery", headers={"authorization": "Bearer another guess"}),
        ]
        client._transport.client = ("10.1.2.3", 1)  # pyright: ignore[reportAttributeAccessIssue]
        told = client.get("/metrics", headers={**right, "host": "10.1.2.4"}).text
    codes = [401, 403, 413, 429]
    assert [one.status_code for one in answers] == codes
    for one in answers:
        assert "content-security-policy" in one.headers
        assert one.headers["x-request-id"]
    lines = [json.loads(JsonLines().format(one)) for one in caplog.records]
    assert [one["status"] for one in lines] == [*codes, 200]
    assert "guess" not in json.dumps(lines)
    for code in codes:
        assert f'status="{code}"}} 1' in told


def test_with_the_token_everything_works(locked):
    client, _ = locked
    right = {"authorization": "Bearer let-me-in"}
    assert client.get("/api/v1/gallery", headers=right).status_code == 200
    assert client.get("/api/v1/gallery", headers={**right, "host": "192.168.1.7:8765"}).status_code == 200
    assert client.get("/api/v1/gallery", headers={**right, "host": "evil.example"}).status_code == 403


def test_the_token_in_the_address_becomes_a_cookie(locked):
    client, _ = locked
    answer = client.get("/map?token=let-me-in&a=1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/map?a=1")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "let-me-in" not in cookie
    assert client.get("/api/v1/gallery").status_code == 200  # the client keeps the cookie
    client.cookies.clear()
    assert (
        client.get("http://127.0.0.1//evil.example/?token=let-me-in").headers["location"] == "/evil.example/"
    )


def test_strangers_see_no_folder_of_the_server(locked):
    client, folder = locked
    right = {"authorization": "Bearer let-me-in"}
    moved = folder.with_name("away")
    folder.rename(moved)
    try:
        job = client.post("/api/v1/jobs", json={"kind": "index"}, headers=right).json()
        events = client.get(f"/api/v1/jobs/{job['id']}/events", headers=right).text
    finally:
        moved.rename(folder)
    assert '"failed"' in events
    assert "is not there" in events
    assert str(folder) not in events
    assert "[…]" in events


def small(folder, **limits):
    draw_many(folder, 2)
    return make_app(filled(folder, NumpyBackbone()), limits=replace(Limits(), **limits))


def test_a_long_body_is_refused_before_it_is_read(tmp_path):
    with called(small(tmp_path, body=10_000, upload=5_000)) as client:
        said = client.post("/api/v1/search", content=b"x" * 20_000)
        assert said.status_code == 413
        pieces = (b"x" * 1000 for _ in range(100))  # no length is told before
        assert client.post("/api/v1/search", content=pieces).status_code == 413
        answer = client.post("/api/v1/uploads", files={"file": ("a.png", b"\x89PNG\r\n\x1a\n" + b"x" * 6000)})
        assert answer.status_code == 413
        assert client.post("/api/v1/search", json={"ids": [1]}).status_code == 200


def test_many_bodies_at_once_are_refused(tmp_path):
    with called(small(tmp_path, bodies=5_000)) as client:
        assert client.post("/api/v1/search", content=b"x" * 6_000).status_code == 429
        assert client.post("/api/v1/search", json={"ids": [1]}).status_code == 200  # what was held is let go


def test_a_client_that_dawdles_is_sent_away(tmp_path):
    with serving(small(tmp_path, body_s=0.4)) as address:
        port = int(address.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as line:
            line.sendall(
                b"POST /api/v1/search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n"
                b"Content-Type: application/json\r\n\r\n{"
            )
            started = time.monotonic()
            answer = line.recv(4096)
        assert b" 408 " in answer.splitlines()[0]
        assert time.monotonic() - started < 5
        assert httpx.get(f"{address}/health").status_code == 200


def test_the_guard_speaks_http_only():
    """No websocket and nothing unknown passes it."""
    reached = []

    async def app(scope, receive, send):
        reached.append(scope["type"])

    guard = Guard(app, tokens=Tokens())
    with ThreadPoolExecutor(
        1
    ) as beside:  # Playwright, in tests before this one, keeps a loop running in its thread
        beside.submit(asyncio.run, guard({"type": "websocket"}, None, None)).result()  # pyright: ignore[reportArgumentType]
    assert reached == []
