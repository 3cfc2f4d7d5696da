"""Jobs in a browser: however many run, in however many tabs, the pages go on answering."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from featurelens.web import work
from featurelens.web.app import make_app
from featurelens.web.jobs import Job, Jobs
from featurelens.web.problems import not_found
from fixtures.serving import serving
from fixtures.watched import watched

KINDS = ("Index the folder", "Look for duplicates", "Lay out the map", "Learn the concepts")
TABS = 8  # a browser has six connections for all pages of one service


@pytest.fixture
def held() -> threading.Event:
    """Set it, and the jobs of `stalled` come to their end."""
    return threading.Event()


@pytest.fixture
def stalled(photos: Path, held: threading.Event, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The service, with jobs that go on until `held` is set."""

    def run(service: object, report: work.Report, **options: object) -> None:
        while not held.wait(0.05):
            report(1, 4)

    for kind in work.WORK:
        monkeypatch.setitem(work.WORK, kind, run)
    with serving(make_app(photos)) as address:
        yield address
        held.set()


def looks(page: Page) -> list[str]:
    """The addresses of jobs that the page asks for, as it goes on."""
    asked: list[str] = []
    one = "/api/v1/jobs/"
    page.on("request", lambda request: asked.append(request.url) if one in request.url else None)
    return asked


def test_after_several_starts_the_page_still_answers(browser: Browser, stalled: str) -> None:
    with watched(browser, stalled) as (page, _):
        page.goto("/jobs")
        for started, kind in enumerate(KINDS, 1):
            page.get_by_role("button", name=kind).click()
            expect(page.locator("#jobs .job progress")).to_have_count(started)
        assert page.evaluate("async () => (await fetch('/api/v1/gallery')).status") == 200
        page.wait_for_timeout(1500)  # the cards that were drawn anew have looked for the last time
        asked = looks(page)
        page.wait_for_timeout(3000)
        assert len(set(asked)) == len(KINDS)
        assert len(asked) <= 4 * len(KINDS), "only the cards that are there ask, about once a second"


def test_many_tabs_open_while_something_runs(browser: Browser, stalled: str, held: threading.Event) -> None:
    with watched(browser, stalled) as (page, _):
        page.goto("/jobs")
        page.get_by_role("button", name=KINDS[0]).click()
        tabs = [page.context.new_page() for _ in range(TABS)]
        for tab in tabs:
            tab.goto("/duplicates")
            expect(tab.locator("#running")).to_contain_text("Indexing 25 %")
        held.set()
        for tab in tabs:
            expect(tab.locator("#running")).to_be_hidden()
        expect(page.locator("#jobs .chip").first).to_have_text("done")


def test_a_job_that_the_service_no_longer_knows_is_asked_for_no_more(
    browser: Browser, stalled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forgotten(self: Jobs, one: str) -> Job:
        raise not_found("There is no such job.")

    with watched(browser, stalled) as (page, faults):
        page.goto("/jobs")
        page.get_by_role("button", name=KINDS[0]).click()
        expect(page.locator("#jobs .job")).to_contain_text("1 of 4")
        monkeypatch.setattr(Jobs, "get", forgotten)  # as after the service was started anew
        expect(page.locator("#jobs .chip")).to_have_text("failed")
        expect(page.locator("#jobs .last")).to_contain_text("started anew")
        asked = looks(page)
        page.wait_for_timeout(2500)
        assert not asked
        faults.allow("404")


def test_a_page_that_is_not_seen_does_not_ask(browser: Browser, stalled: str) -> None:
    with watched(browser, stalled) as (page, _):
        page.goto("/jobs")
        page.get_by_role("button", name=KINDS[0]).click()
        expect(page.locator("#jobs .job progress")).to_have_count(1)
        turn = """(hidden) => {
            Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
            document.dispatchEvent(new Event("visibilitychange"));
        }"""
        page.evaluate(turn, True)
        page.wait_for_timeout(500)  # what was under way
        asked = looks(page)
        page.wait_for_timeout(2500)
        assert asked == []
        with page.expect_request(lambda request: "/api/v1/jobs/" in request.url):
            page.evaluate(turn, False)
