"""Why, map, inside, duplicates, quality and jobs in a browser, on the real service."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from fixtures.watched import PHONE, until, watched

DRAWN = "[...document.querySelectorAll('.layer img')].slice(0, 4).every((one) => one.naturalWidth > 0)"


def ids(page: Page, name: str) -> list[int]:
    """Ids of the images whose name begins so."""
    return page.evaluate(
        """async (name) => {
        const said = await (await fetch("/api/v1/images?limit=5000")).json();
        return said.images.filter((one) => one.name.startsWith(name)).map((one) => one.id);
    }""",
        name,
    )


def test_why_shows_both_pictures_their_maps_and_lines(browser: Browser, site: str) -> None:
    with watched(browser, site) as (page, _):
        page.goto("/")
        a, b, *_rest = ids(page, "coffee/")
        page.goto(f"/why?like={a}&id={b}")
        expect(page.locator("#value")).to_have_text(re.compile(r"0\.\d{3}"))
        until(page, "[...document.querySelectorAll('.view img')].every((i) => i.naturalWidth > 0)")
        expect(page.locator(".wires .wire")).to_have_count(5)
        page.locator("#lines").fill("2")
        expect(page.locator(".wires .wire")).to_have_count(2)
        page.get_by_role("button", name="Pictures").click()
        expect(page.locator(".view canvas").first).to_be_hidden()
        expect(page.locator("#strip a")).to_have_count(24)
        page.keyboard.press("ArrowRight")
        expect(page).not_to_have_url(re.compile(f"id={b}$"))
        page.go_back()
        expect(page).to_have_url(re.compile(f"id={b}$"))
        page.get_by_role("link", name="All matches").click()
        expect(page.locator("#title")).to_have_text("Most similar")


def test_why_on_a_phone_begins_at_its_top_and_brings_the_match_into_the_strip(
    browser: Browser, site: str
) -> None:
    with watched(browser, site, **PHONE) as (page, _):
        page.goto("/")
        a = ids(page, "coffee")[0]
        last = page.evaluate(
            """async (a) => {
            const headers = {"content-type": "application/json"}, body = JSON.stringify({ids: [a], k: 25});
            const said = await fetch("/api/v1/search", {method: "POST", headers, body});
            return (await said.json()).hits.at(-1).id;
        }""",
            a,
        )
        page.goto(f"/why?like={a}&id={last}")
        page.wait_for_selector("#strip a[aria-current]")
        until(page, "document.querySelector('#strip').scrollLeft > 0")
        assert page.evaluate("scrollY") == 0, "the strip lies below, the pictures above"
        place = page.locator("#strip a[aria-current]").bounding_box()
        assert place is not None
        assert 0 <= place["x"] <= 390 - place["width"]


def test_why_without_torch_says_which_extra_brings_more(browser: Browser, site: str) -> None:
    with watched(browser, site) as (page, _):
        without_lab(page)
        page.goto("/")
        a, b, *_rest = ids(page, "coffee/")
        page.goto(f"/why?like={a}&id={b}")
        expect(page.locator("#extra")).to_contain_text('pip install "featurelens[lab]"')
        expect(page.locator(".wires .wire")).to_have_count(5)
        page.goto(f"/image/{a}")
        expect(page.locator("#layers .notice")).to_contain_text("featurelens[lab]")
        page.goto("/why?like=1")
        expect(page.locator(".state")).to_contain_text("names no two pictures")


def without_lab(page: Page) -> None:
    """The service as it is where torch is not installed."""

    said = page.request.get("/api/v1/gallery").json() | {"extras": {"lab": False}, "methods": []}
    page.route("**/api/v1/gallery", lambda route: route.fulfill(json=said))


def test_the_map_has_every_image_and_names_them_on_hover(browser: Browser, site: str) -> None:
    with watched(browser, site) as (page, _):
        page.goto("/map")
        page.wait_for_selector("#legend li")
        page.keyboard.press("s")
        expect(page.locator("#many")).to_have_text("192 images")
        page.keyboard.press("Escape")
        area = page.locator("#plane").bounding_box()
        assert area is not None
        for step in range(60):
            page.mouse.move(area["x"] + 300 + 12 * step, area["y"] + 150 + 8 * step)
            if page.locator(".peek").is_visible():
                break
        expect(page.locator(".peek b")).to_contain_text(".jpg")


def test_a_long_label_leaves_the_legend_its_numbers(browser: Browser, site: str) -> None:
    label = "a label that somebody wrote a whole sentence into"
    with watched(browser, site) as (page, _):
        told = page.request.get("/api/v1/layout").json()
        long = told | {"label": [label if one == told["label"][0] else one for one in told["label"]]}
        page.route("**/api/v1/layout*", lambda route: route.fulfill(json=long))
        page.goto("/map")
        row = page.get_by_title(label)
        expect(row).to_be_visible()
        assert page.locator("#legend").evaluate("list => list.scrollWidth <= list.clientWidth")


def test_at_an_address_of_nothing_the_page_leads_back(browser: Browser, site: str) -> None:
    with watched(browser, site) as (page, faults):
        page.goto("/no/such/page")
        expect(page.locator("h1")).to_have_text("There is nothing at this address")
        expect(page.locator("#where")).to_contain_text("192 images")  # the bar above it works
        page.get_by_role("link", name="All images").click()
        expect(page.locator("#title")).to_have_text("All images")
        faults.allow("404 (Not Found)")


def test_addresses_that_name_nothing_say_so_and_lead_on(browser: Browser, site: str) -> None:
    with watched(browser, site) as (page, _):
        for address, title, way in (
            ("/unit", "The address names no channel", "/image"),
            ("/unit?layer=features.0&unit=first", "The address names no channel", "/image"),
            ("/concept/first", "There is no such concept", "/concepts"),
            ("/concept/-1", "There is no such concept", "/concepts"),
        ):
            page.goto(address)
            expect(page.locator("#state h2")).to_have_text(title)
            expect(page.locator("#state a.button")).to_have_attribute("href", way)
        page.goto("/unit?layer=features.0&unit=1")
        expect(page.locator("h1")).to_have_text("Channel 1 of features.0")
        expect(page.locator(".nav [aria-current]")).to_have_text("Inside")


def test_a_picture_goes_through_the_network(browser: Browser, site: str) -> None:
    with watched(browser, site) as (page, _):
        page.goto("/image")
        page.locator("#grid .tile > a").first.click()
        expect(page).to_have_url(re.compile(r"/image/\d+"))
        expect(page.locator("#name")).to_contain_text(".jpg")
        expect(page.locator(".layer")).to_have_count(1, timeout=60_000)  # torch is imported first
        until(page, DRAWN)
        expect(page.locator("#maps")).to_contain_text("embedded")


@pytest.mark.slow
def test_a_picture_goes_through_a_real_network_from_edges_to_parts(browser: Browser, lab: str) -> None:
    with watched(browser, lab) as (page, _):
        page.goto("/image/1")
        expect(page.locator(".layer")).to_have_count(5, timeout=60_000)
        until(page, DRAWN)
        page.locator("#maps").scroll_into_view_if_needed()
        expect(page.locator("#maps .said").first).to_contain_text("rust", timeout=150_000)
        page.get_by_role("button", name="Layer-CAM").click()
        expect(page.locator("#maps article")).to_have_count(2)
        expect(page.locator("#maps .said").nth(1)).to_contain_text("rust", timeout=150_000)
        page.locator(".layer").nth(3).locator("a").first.click()
        page.get_by_role("button", name="Look at all units").click()
        expect(page.locator("#answers img").first).to_be_visible(timeout=120_000)
        page.goto("/why?like=1&id=2&method=grad-cam")
        expect(page.locator("#verdict .chip")).to_contain_text("rust", timeout=150_000)


def test_duplicates_are_looked_for_listed_and_exported(browser: Browser, twins: str) -> None:
    with watched(browser, twins) as (page, _):
        page.goto("/duplicates")
        page.get_by_role("button", name="Look for duplicates").click()
        groups = page.locator("#groups > li")
        expect(groups).to_have_count(2, timeout=60_000)
        expect(groups.filter(has_text="exact copies")).to_contain_text("same-coffee.jpg")
        expect(groups.filter(has_text="near duplicates")).to_contain_text("small-cat.jpg")
        expect(page.locator("#sub")).to_contain_text("Nothing is ever deleted")
        page.get_by_role("button", name="Exact").click()
        expect(groups).to_have_count(1)
        with page.expect_download() as download:
            page.get_by_role("link", name="Export the list").click()
        text = Path(download.value.path()).read_text(encoding="utf-8")
        assert "same-coffee.jpg" in text
        assert "small-cat.jpg" in text


def test_indexing_is_followed_and_skipped_files_are_listed(browser: Browser, site: str) -> None:
    with watched(browser, site) as (page, _):
        page.goto("/jobs")
        expect(page.locator("#skipped")).to_contain_text("broken.jpg")
        page.get_by_role("button", name="Index the folder").click()
        job = page.locator("#jobs .job").first
        expect(job).to_contain_text("Indexing")
        expect(job.locator(".chip")).to_have_text("done", timeout=30_000)


@pytest.mark.slow
def test_the_quality_of_the_gallery_is_measured_as_a_job(browser: Browser, site: str) -> None:
    with watched(browser, site) as (page, _):
        page.goto("/quality")
        page.get_by_role("button", name="Measure the quality").click()
        expect(page.locator("#progress progress")).to_be_visible()
        expect(page.locator("#result .score").first).to_be_visible(timeout=200_000)
        assert page.locator("#result .score").count() >= 4


def test_the_theme_is_kept_and_the_pages_fit_a_phone(browser: Browser, site: str) -> None:
    with watched(browser, site, **PHONE) as (page, _):
        page.goto("/")
        page.wait_for_selector("#grid .tile img.here")
        for theme in ("light", "dark"):
            page.locator("#theme").tap()
            assert page.evaluate("document.documentElement.dataset.theme") == theme
        page.reload()
        assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"
        for address in ("/", "/map", "/image", "/concepts", "/duplicates", "/quality", "/jobs"):
            page.goto(address)
            page.wait_for_load_state("networkidle")
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, address
