"""What the first page does without comes behind it, or with the first request that needs it; nobody can tell."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from featurelens.web.app import make_app
from featurelens.web.subjects import LATER
from fixtures.drawn import draw_many
from fixtures.galleries import filled
from fixtures.served import HOME, called


def asking(app: FastAPI) -> TestClient:
    """A client without the life of the app around it: nothing comes by itself."""
    return TestClient(app, base_url=HOME, raise_server_exceptions=False)


def addresses(app: FastAPI) -> set[str]:
    return {path for route in app.routes for path in _below(route)}


def _below(route: object) -> list[str]:
    inner = getattr(route, "original_router", None)
    return [one.path for one in inner.routes] if inner else [getattr(route, "path", "")]


@pytest.fixture
def app(tmp_path: Path) -> FastAPI:
    """As `serve` makes it: it looks after its gallery, but here not soon."""
    draw_many(tmp_path, 4)
    return make_app(filled(tmp_path), look_s=1000)


def test_a_first_page_needs_none_of_the_later_ones(app: FastAPI) -> None:
    client = asking(app)
    assert client.get("/").status_code == 200
    assert client.get("/api/v1/gallery").json()["images"] == 4
    ids = [one["id"] for one in client.get("/api/v1/images").json()["images"]]
    assert client.get(f"/api/v1/images/{ids[0]}/thumbnail").status_code == 200
    assert client.post("/api/v1/search", json={"ids": ids[:1]}).json()["hits"]
    assert "/api/v1/jobs" not in addresses(app)
    app.state.current.close()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/models", 200),
        ("GET", "/api/v1/jobs", 200),
        ("POST", "/api/v1/duplicates", 405),
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/v1/jobs/none", 404),
    ],
)
def test_a_request_that_needs_them_brings_them(app: FastAPI, method: str, path: str, status: int) -> None:
    answer = asking(app).request(method, path)
    assert answer.status_code == status
    assert "content-security-policy" in answer.headers
    if status >= 400:
        assert answer.json()["status"] == status
    assert "/api/v1/jobs" in addresses(app)
    app.state.current.close()


def test_strangers_bring_nothing(app: FastAPI) -> None:
    assert asking(app).get("/v1/models", headers={"host": "evil.example"}).status_code == 403
    assert "/api/v1/jobs" not in addresses(app)
    app.state.current.close()


def test_they_come_by_themselves_and_once(app: FastAPI, tmp_path: Path) -> None:
    with called(app) as client:
        assert app.state.keeper.warm.wait(30)
        had = len(app.routes)
        assert client.get("/api/v1/jobs").status_code == 200
        assert client.get("/api/v1/nothing").status_code == 404
        assert len(app.routes) == had
        whole = client.get("/openapi.json").json()["paths"]
    with called(make_app(tmp_path)) as client:
        assert client.get("/openapi.json").json()["paths"] == whole
    assert len(LATER) == 9


def test_the_document_names_all_of_them_from_the_beginning(app: FastAPI) -> None:
    assert "/api/v1/jobs" in asking(app).get("/openapi.json").json()["paths"]
    app.state.current.close()
