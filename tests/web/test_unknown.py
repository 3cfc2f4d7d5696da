"""An address at which there is nothing: people are led back, programs are told what they asked for and where all lies."""

from __future__ import annotations

import pytest

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.mark.parametrize("path", ["/nothing", "/api/v1/nothing", "/docs"])
def test_a_browser_gets_a_page_that_leads_back(client, path: str):
    told = client.get(path, headers=BROWSER)
    assert told.status_code == 404
    assert told.headers["content-type"].startswith("text/html")
    assert '<a class="button primary" href="/">' in told.text


def test_a_program_is_told_what_it_asked_for_and_where_the_list_is(client):
    told = client.get("/api/v1/nothing", params={"secret": "1"})
    assert told.status_code == 404
    assert told.headers["content-type"] == "application/problem+json"
    said = "There is nothing at /api/v1/nothing; /openapi.json lists every address of this service."
    assert told.json()["detail"] == said
    assert client.get("/v1/nothing").json()["error"]["message"].startswith("There is nothing at /v1/nothing;")
    assert client.get("/openapi.json").status_code == 200


def test_a_method_that_is_not_possible_names_the_one_that_is(client):
    told = client.put("/api/v1/search")
    assert (told.status_code, told.headers["allow"]) == (405, "POST")
    assert told.json()["detail"] == "PUT is not possible at this address; POST is."
