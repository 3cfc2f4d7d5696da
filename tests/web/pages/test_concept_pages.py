"""Concepts in a browser: learned from the page, looked at one by one, searched by, and a query led along them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Response, expect

from featurelens.search import Gallery
from featurelens.web.app import make_app
from fixtures.galleries import filled
from fixtures.serving import serving
from fixtures.watched import PHONE, until, watched
from fixtures.worded import WordedBackbone, paint

FIRST = "#grid .tile:not([hidden])[aria-posinset='1'] > a"
KINDS = ("red", "green", "blue", "red-blue", "red-green")


@pytest.fixture
def gallery(tmp_path: Path) -> Gallery:
    for kind in KINDS:
        paint(tmp_path / "photos" / kind, [kind], each=6)
    return filled(tmp_path / "photos", WordedBackbone(), at=tmp_path / "gallery")  # type: ignore[arg-type]


@pytest.fixture
def painted(gallery: Gallery) -> Iterator[str]:
    with serving(make_app(gallery)) as address:
        yield address


def learn(page: Page, how: str = "From whole images") -> None:
    page.goto("/concepts")
    page.get_by_role("button", name=how).click()
    expect(page.locator("#concepts > li").first).to_be_visible(timeout=60_000)


def pictures(page: Page, places: str) -> None:
    until(
        page, f"[...document.querySelectorAll('{places} img')].slice(0, 3).every((i) => i.naturalWidth > 0)"
    )


def test_they_are_learned_from_the_page_and_each_has_its_own(browser: Browser, painted: str) -> None:
    with watched(browser, painted) as (page, _):
        page.goto("/concepts")
        expect(page.locator("#state")).to_contain_text("No concepts yet")
        learn(page)
        expect(page.locator("#title")).to_have_text("7 concepts")
        expect(page.locator("#sub")).to_contain_text("from 30 vectors of 30 images")
        pictures(page, "#concepts")
        page.get_by_role("button", name="Purest").click()
        first = page.locator("#concepts > li").first
        expect(first).to_contain_text("(chance:")
        number = (first.get_attribute("id") or "").removeprefix("concept-")
        first.get_by_role("link", name="Look closer").click()
        expect(page).to_have_url(re.compile(rf"/concept/{number}$"))
        expect(page.locator("#about")).to_contain_text("is silent in")
        pictures(page, "#exemplars")
        page.goto("/concept/0")
        expect(page.locator("#before")).to_be_hidden()
        page.keyboard.press("ArrowRight")
        expect(page).to_have_url(re.compile(r"/concept/1$"))
        expect(page.locator("#title")).to_contain_text("Concept 1")
        page.goto(f"/concept/{number}")
        best = page.locator("#exemplars a").first.get_attribute("title") or ""
        page.get_by_role("link", name="Search by this concept").click()
        expect(page).to_have_url(re.compile(rf"/\?concept={number}$"))
        expect(page.locator("#query")).to_contain_text(f"Concept {number}")
        expect(page.locator(FIRST)).to_have_attribute(
            "title", re.compile(re.escape(best.partition("/")[0]) + "/")
        )


def test_a_query_is_led_by_sliders_and_the_address_holds_it(browser: Browser, painted: str) -> None:
    with watched(browser, painted) as (page, _):
        learn(page)
        blue = blue_one(page)
        page.goto("/")
        page.locator(FIRST).click()
        expect(page.locator("#title")).to_have_text("Most similar")
        page.get_by_role("button", name="More or less of").click()
        page.get_by_role("button", name=re.compile(rf"More of Concept {blue}\b")).click()
        expect(page).to_have_url(re.compile(rf"\?like=\d+&concept={blue}:0\.5$"))
        led = page.url
        slider = page.get_by_role("slider", name=re.compile("How much of"))
        slider.focus()
        page.keyboard.press("ArrowRight")
        expect(page).to_have_url(re.compile(rf"concept={blue}:0\.6$"))
        expect(slider).to_be_focused()
        wanted = [{"number": blue, "weight": -0.8}]

        def is_led_away(response: Response) -> bool:
            """The answer before it, to 0.6, may still be on its way."""
            asked = response.url.endswith("/api/v1/search") and response.request.post_data_json
            return bool(asked) and asked["concepts"] == wanted

        with page.expect_response(is_led_away) as answered:
            slider.fill("-0.8")
        less = [hit["name"] for hit in answered.value.json()["hits"][:6]]
        assert not [name for name in less if name.startswith("blue/")]
        page.goto(led)  # a sent link
        expect(page.locator("#query output")).to_have_text("+0.5")
        page.get_by_role("button", name=re.compile(rf"Leave out Concept {blue}")).click()
        expect(page).to_have_url(re.compile(r"\?like=\d+$"))
        page.go_back()
        expect(page).to_have_url(led)
        expect(page.locator("#query output")).to_have_text("+0.5")
        page.keyboard.press("Escape")
        expect(page.locator("#title")).to_have_text("All images")


def blue_one(page: Page) -> int:
    """The concept whose images are blue."""
    return page.evaluate(
        """async () => {
        const said = await (await fetch("/api/v1/concepts?top=9")).json();
        const blue = (one) => one.exemplars.filter((e) => e.label === "blue").length / Math.max(1, one.exemplars.length);
        return said.concepts.toSorted((a, b) => blue(b) - blue(a))[0].number;
    }"""
    )


def test_places_are_lit_and_another_state_is_told(browser: Browser, painted: str, gallery: Gallery) -> None:
    with watched(browser, painted) as (page, _):
        learn(page, "From places in them")
        expect(page.locator("#sub")).to_contain_text("places of 30 images")
        assert "/picture?of=" in (page.locator("#concepts img").first.get_attribute("src") or "")
        pictures(page, "#concepts")
        expect(page.locator("#notice")).to_be_empty()
        paint(gallery.images_folder / "red", ["red"], each=8)
        gallery.update()
        page.reload()
        expect(page.locator("#notice")).to_contain_text("has changed since")
        page.wait_for_load_state("networkidle")  # pictures asked for when new concepts are there are gone
        page.get_by_role("button", name="Learn again").click()
        page.get_by_role("menuitem", name="From whole images").click()
        expect(page.locator("#sub")).to_contain_text("vectors of 32 images", timeout=60_000)
        expect(page.locator("#notice")).to_be_empty()


def test_concepts_that_are_not_there_are_told(browser: Browser, painted: str) -> None:
    with watched(browser, painted, **PHONE) as (page, faults):
        page.goto("/concept/3")
        expect(page.locator("#state")).to_contain_text("No concepts yet")
        page.goto("/?concept=3")
        expect(page.locator("#state")).to_contain_text("Not along these concepts")
        faults.allow("status of 409")
        page.goto("/")
        expect(page.locator("#title")).to_have_text("All images")
        expect(page.locator("#query")).not_to_contain_text("concept")
        learn(page)
        for address in ("/concepts", "/concept/0", "/?concept=0", "/?like=1&concept=0:0.5,1:-0.5"):
            page.goto(address)
            page.wait_for_load_state("networkidle")
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, address
        page.get_by_role("button", name="Another concept").click()
        expect(page.locator("dialog.picker li").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_without_torch_it_says_which_extra_learns_them(browser: Browser, painted: str) -> None:
    with watched(browser, painted) as (page, _):
        said = page.request.get("/api/v1/gallery").json() | {"extras": {"lab": False}}
        page.route("**/api/v1/gallery", lambda route: route.fulfill(json=said))
        page.goto("/concepts")
        expect(page.locator("#state")).to_contain_text('pip install "featurelens[lab]"')
