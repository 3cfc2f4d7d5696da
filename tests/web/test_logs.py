"""The log: one JSON object a line, with nothing in it that must not be."""

from __future__ import annotations

import json
import logging
import sys

from featurelens.web.app import make_app
from featurelens.web.logs import JsonLines
from fixtures.drawn import draw_many
from fixtures.galleries import filled
from fixtures.served import called


def test_a_request_is_a_line_with_its_name_and_without_its_token(tmp_path, caplog):
    draw_many(tmp_path, 2)
    with caplog.at_level(logging.INFO, "featurelens.access"), called(make_app(filled(tmp_path))) as client:
        answer = client.get("/api/v1/images/1?token=secret", headers={"X-Request-ID": "mine-1"})
        other = client.get("/api/v1/nowhere", headers={"X-Request-ID": "no good\x00" + "x" * 100})
    assert answer.headers["x-request-id"] == "mine-1"
    assert len(other.headers["x-request-id"]) == 16
    first, second = (json.loads(JsonLines().format(one)) for one in caplog.records)
    assert (first["id"], first["method"], first["status"]) == ("mine-1", "GET", 200)
    assert (first["path"], first["route"]) == ("/api/v1/images/1", "/api/v1/images/{id}")
    assert first["bytes"] == len(answer.content)
    assert first["ms"] > 0
    assert first["time"].endswith("Z")
    assert (second["status"], second["route"]) == (404, "other")
    assert "secret" not in json.dumps([first, second])
    assert str(tmp_path) not in json.dumps([first, second])


def test_an_error_is_one_line_too():
    try:
        raise ValueError("two\nlines")
    except ValueError:
        record = logging.LogRecord("featurelens.web", logging.ERROR, "", 1, "failed", (), sys.exc_info())
    line = JsonLines().format(record)
    assert "\n" not in line
    assert "ValueError: two" in json.loads(line)["error"]


def test_without_the_option_requests_are_not_logged(tmp_path, caplog):
    draw_many(tmp_path, 2)
    with called(make_app(filled(tmp_path))) as client:
        client.get("/api/v1/gallery")
    assert not [one for one in caplog.records if one.name == "featurelens.access"]
