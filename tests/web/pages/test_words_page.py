"""Words in the browser: the box is there where the gallery takes text, and its words are the address."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from featurelens.web.app import make_app
from fixtures.galleries import filled
from fixtures.serving import serving
from fixtures.watched import watched
from fixtures.worded import WordedBackbone, paint

FIRST = "#grid .tile:not([hidden])[aria-posinset='1'] > a"


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("painted")
    paint(folder, ["red", "green", "blue", "red-blue", "red-green"], each=4)
    with serving(make_app(filled(folder, WordedBackbone()))) as address:  # type: ignore[arg-type]
        yield address


def test_words_find_pictures_and_go_with_one(browser: Browser, painted: str) -> None:
    with watched(browser, painted) as (page, _):
        page.goto("/")
        expect(page.locator("#title")).to_have_text("All images")
        page.keyboard.press("/")
        expect(page.locator("#text")).to_be_focused()
        page.keyboard.type("green")
        page.keyboard.press("Enter")
        expect(page.locator("#title")).to_have_text("Most similar")
        expect(page.locator(FIRST)).to_have_attribute("title", "green-0.png")
        expect(page.locator("#query")).to_contain_text("“green”")
        assert page.url.endswith("?text=green")
        page.goto("/?text=blue")  # a sent link
        expect(page.locator("#text")).to_have_value("blue")
        page.locator(FIRST).focus()
        page.keyboard.press("+")
        expect(page.locator("#query")).to_contain_text("More like")
        assert "text=blue" in page.url
        assert "like=" in page.url
        page.get_by_role("button", name="Clear the query").click()
        expect(page.locator("#title")).to_have_text("All images")
        expect(page.locator("#text")).to_have_value("")


def test_why_words_match_a_picture(browser: Browser, painted: str) -> None:
    with watched(browser, painted) as (page, _):
        page.goto("/?text=red")
        expect(page.locator("#title")).to_have_text("Most similar")
        page.goto(f"/why?text=blue&id={page.locator(FIRST).get_attribute('href').partition('like=')[2]}")
        expect(page.locator("#title")).to_have_text("Why does it match “blue”?")
        expect(page.locator("#pair img:visible")).to_have_count(1)
        expect(page.locator("#words")).to_contain_text("Bright regions")


def test_a_gallery_of_images_only_has_no_box(browser: Browser, site: str) -> None:
    with watched(browser, site) as (page, _):
        page.goto("/")
        expect(page.locator("#title")).to_have_text("All images")
        expect(page.locator("#words")).to_be_hidden()
