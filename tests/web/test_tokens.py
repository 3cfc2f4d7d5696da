"""Tokens from a file: two at once, exchanged without a restart, and never an open door."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from featurelens.errors import InvalidInput
from featurelens.web.app import make_app
from featurelens.web.tokens import Tokens
from fixtures.drawn import draw_many
from fixtures.galleries import filled
from fixtures.served import called


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 2.0
        return self.now


def write(file: Path, text: str) -> None:
    """In one step, as one should."""
    new = file.with_suffix(".new")
    new.write_text(text)
    os.replace(new, file)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write(tmp_path / "tokens", "# ours\nold-token\n\n")
    return tmp_path / "tokens"


def test_a_token_is_rotated_while_the_service_runs(tmp_path: Path, file: Path):
    draw_many(tmp_path / "photos", 2)
    app = make_app(filled(tmp_path / "photos"), token=Tokens(None, file, clock=Clock()))

    def status(token: str) -> int:
        return client.get("/api/v1/gallery", headers={"authorization": f"Bearer {token}"}).status_code

    with called(app) as client:
        assert (status("old-token"), status("new-token")) == (200, 401)
        client.get("/?token=old-token")  # a browser, which keeps its cookie
        assert client.get("/api/v1/gallery").status_code == 200
        write(file, "old-token\nnew-token\n")
        assert (status("old-token"), status("new-token")) == (200, 200)
        write(file, "new-token\n")
        assert (status("old-token"), status("new-token")) == (401, 200)
        assert client.get("/api/v1/gallery").status_code == 401, "the cookie ends with its token"


@pytest.mark.parametrize("text", ["", "# nothing\n\n", None])
def test_a_file_that_is_away_or_empty_opens_no_door(file: Path, text: str | None, caplog):
    tokens = Tokens(None, file, clock=Clock())
    if text is None:
        file.unlink()
    else:
        write(file, text)
    assert tokens
    assert tokens.right(b"old-token")
    assert not tokens.right(b"")
    assert "stay valid" in caplog.text


@pytest.mark.parametrize("text", ["", "# nothing\n", None])
def test_without_a_token_in_it_the_service_does_not_start(tmp_path: Path, text: str | None):
    if text is not None:
        (tmp_path / "tokens").write_text(text)
    with pytest.raises(InvalidInput, match="token"):
        Tokens(None, tmp_path / "tokens")


def test_a_cookie_tells_no_token(file: Path):
    tokens = Tokens("given", file)
    cookies = {tokens.cookie(b"given"), tokens.cookie(b"old-token")}
    assert len(cookies) == 2
    assert tokens.cookie(b"other") is None
    for cookie in cookies:
        assert cookie is not None
        assert tokens.right_cookie(cookie.encode())
        assert not tokens.right(cookie.encode())
    assert not tokens.right_cookie(b"")
