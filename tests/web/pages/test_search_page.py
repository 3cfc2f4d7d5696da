"""The search page in a browser: bringing a picture, clicking one, refining, going back."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from fixtures.watched import PHONE, until, watched

TILE = "#grid .tile:not([hidden])"


def first_tile(page: Page) -> str:
    """The name of the first image of the grid."""
    link = page.locator(f"{TILE}[aria-posinset='1'] > a")
    expect(link).to_be_visible()
    return link.get_attribute("title") or ""


def names(page: Page, many: int = 6) -> list[str]:
    """Names of the first images of the grid, in order."""
    return [
        page.locator(f"{TILE}[aria-posinset='{i}'] > a").get_attribute("title") or ""
        for i in range(1, many + 1)
    ]


def test_a_click_on_a_picture_finds_others_of_the_same_photo(browser: Browser, site: str) -> None:
    with watched(browser, site) as (page, _):
        page.goto("/")
        expect(page.locator("#title")).to_have_text("All images")
        page.select_option("#path", "coffee")
        expect(page.locator("#sub")).to_contain_text("12 of 192 images")
        page.locator(f"{TILE}[aria-posinset='3'] > a").click()
        expect(page.locator("#title")).to_have_text("Most similar")
        assert re.search(r"\?like=\d+&path=coffee", page.url)
        page.select_option("#path", "")
        expect(page.locator("#sub")).to_contain_text("191 images")
        assert all(name.startswith("coffee/") for name in names(page, 3))
        values = [
            float(page.locator(f"{TILE}[aria-posinset='{i}'] .value").inner_text()) for i in range(1, 9)
        ]
        assert values == sorted(values, reverse=True)


def test_back_and_forward_go_through_the_queries(browser: Browser, site: str) -> None:
    with watched(browser, site) as (page, _):
        page.goto("/")
        at_rest = names(page)
        page.locator(f"{TILE} > a").first.click()
        expect(page.locator("#title")).to_have_text("Most similar")
        found = names(page)
        page.go_back()
        expect(page.locator("#title")).to_have_text("All images")
        assert names(page) == at_rest
        page.go_forward()
        expect(page.locator("#title")).to_have_text("Most similar")
        assert names(page) == found
        page.reload()
        expect(page.locator("#title")).to_have_text("Most similar")
        assert names(page) == found


def test_a_chosen_file_searches_and_survives_a_reload(browser: Browser, site: str, photos: Path) -> None:
    with watched(browser, site) as (page, _):
        page.goto("/")
        page.set_input_files("#file", photos / "motorcycle" / "motorcycle-03.jpg")
        expect(page.locator("#query .name")).to_have_text("motorcycle-03.jpg")
        expect(page.locator("#title")).to_have_text("Most similar")
        assert first_tile(page).startswith("motorcycle/motorcycle-03.jpg")
        page.reload()
        expect(page.locator("#title")).to_have_text("Most similar")
        assert first_tile(page).startswith("motorcycle/motorcycle-03.jpg")
        expect(page.locator("#query img")).to_have_js_property("complete", True)


def test_a_dropped_and_a_pasted_picture_search(browser: Browser, site: str, photos: Path) -> None:
    picture = list((photos / "rocket" / "rocket-01.jpg").read_bytes())
    send = """([bytes, kind]) => {
        const file = new File([new Uint8Array(bytes)], "r.jpg", {type: "image/jpeg"});
        const data = new DataTransfer();
        data.items.add(file);
        const event = kind === "paste" ? new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true})
            : new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true});
        document.body.dispatchEvent(event);
    }"""
    with watched(browser, site) as (page, _):
        page.goto("/")
        first_tile(page)
        page.evaluate(send, [picture, "dragenter"])
        expect(page.locator("#dropping")).to_be_visible()
        page.evaluate(send, [picture, "drop"])
        expect(page.locator("#dropping")).to_be_hidden()
        expect(page.locator("#title")).to_have_text("Most similar")
        assert first_tile(page).startswith("rocket/")
        page.goto("/")
        first_tile(page)
        page.evaluate(send, [picture, "paste"])
        expect(page.locator("#query .name")).to_have_text("r.jpg")
        expect(page.locator("#title")).to_have_text("Most similar")
        assert first_tile(page).startswith("rocket/")


def test_a_file_that_is_no_picture_is_refused_in_words(browser: Browser, site: str, photos: Path) -> None:
    with watched(browser, site) as (page, faults):
        page.goto("/")
        first_tile(page)
        page.set_input_files("#file", photos / "broken.jpg")
        expect(page.locator("#toasts .toast")).to_be_visible()
        assert len(page.locator("#toasts").inner_text()) > 20
        expect(page.locator("#title")).to_have_text("All images")
        faults.allow("status of 4")


def test_more_and_less_like_this(browser: Browser, site: str) -> None:
    with watched(browser, site) as (page, _):
        page.goto("/?path=coffee")
        first_tile(page)
        page.locator(f"{TILE}[aria-posinset='1'] > a").focus()
        page.keyboard.press("+")
        expect(page.locator("#title")).to_have_text("Most similar")
        page.select_option("#path", "")
        second = page.locator(f"{TILE}[aria-posinset='2'] > a")
        liked = second.get_attribute("href") or ""
        second.focus()
        page.keyboard.press("+")
        expect(page.locator(".group.more li")).to_have_count(2)
        expect(second).not_to_have_attribute("href", liked)  # what is asked with is no result any more
        second.focus()
        page.keyboard.press("-")
        expect(page.locator(".group.less li")).to_have_count(1)
        assert re.search(r"like=\d+,\d+&unlike=\d+", page.url)
        page.locator(".group.less button").click()
        expect(page.locator(".group.less li")).to_have_count(0)


def test_a_rectangle_on_the_query_searches_by_that_part(browser: Browser, site: str) -> None:
    with watched(browser, site) as (page, _):
        page.goto("/?path=astronaut")
        page.locator(f"{TILE} > a").first.click()
        picture = page.locator("#query .held")
        expect(picture.locator("img")).to_be_visible()
        until(page, "document.querySelector('#query .held img').naturalWidth > 0")
        area = picture.bounding_box()
        assert area is not None
        with page.expect_response("**/api/v1/search") as answer:
            page.mouse.move(area["x"] + 0.2 * area["width"], area["y"] + 0.2 * area["height"])
            page.mouse.down()
            page.mouse.move(area["x"] + 0.7 * area["width"], area["y"] + 0.6 * area["height"], steps=4)
            page.mouse.up()
        sent = answer.value.request.post_data_json
        assert [round(v, 1) for v in sent["box"]] == [0.2, 0.2, 0.7, 0.6]
        expect(page.locator("#query .box")).to_be_visible()
        expect(page).to_have_url(re.compile("box=0.2"))
        page.locator("#query .box").focus()
        with page.expect_response("**/api/v1/search") as answer:
            page.keyboard.press("Delete")
        assert "box" not in answer.value.request.post_data_json


def test_the_threshold_hides_what_is_less_similar(browser: Browser, vast: str) -> None:
    with watched(browser, vast) as (page, _):
        page.goto("/?like=5")
        first_tile(page)
        slider = page.get_by_label("Least similarity")
        slider.evaluate(
            "(s) => { s.value = 0.8; s.dispatchEvent(new Event('input')); s.dispatchEvent(new Event('change')); }"
        )
        expect(page).to_have_url(re.compile("min=0.8"))
        expect(page.locator("#sub")).to_contain_text("66 images")
        page.goto("/?like=5&min=0.9")
        expect(page.locator("#sub")).to_contain_text("33 images")


def test_below_the_line_nothing_really_matches(browser: Browser, vast: str) -> None:
    with watched(browser, vast) as (page, _):
        page.goto("/?like=5")
        first_tile(page)
        page.evaluate("scrollTo(0, 7200)")
        expect(page.locator(".divider")).to_have_text(
            "Below 0.500: farther than nearest neighbours here usually are"
        )
        beyond = page.locator(f"{TILE}.beyond .value").first
        assert float(beyond.text_content() or "1") < 0.5


def test_nothing_that_similar_says_so_and_offers_the_way_out(browser: Browser, site: str) -> None:
    with watched(browser, site) as (page, _):
        page.goto("/?path=moon")
        page.locator(f"{TILE} > a").first.click()
        page.goto(page.url + "&min=0.9999")
        expect(page.locator("#state h2")).to_have_text("Nothing is that similar")
        page.get_by_role("button", name="Show everything").click()
        first_tile(page)


def test_an_error_is_told_and_can_be_tried_again(browser: Browser, site: str) -> None:
    with watched(browser, site) as (page, faults):
        page.route(
            "**/api/v1/search",
            lambda route: route.fulfill(
                status=500, content_type="application/problem+json", body='{"detail": "The disk is full."}'
            ),
        )
        page.goto("/")
        page.locator(f"{TILE} > a").first.click()
        expect(page.locator("#state")).to_contain_text("The disk is full.")
        page.unroute("**/api/v1/search")
        page.get_by_role("button", name="Try again").click()
        first_tile(page)
        page.goto("/?like=123456789")
        expect(page.locator("#state h2")).to_have_text("That image is not in the gallery")
        faults.allow("status of 500")
        faults.allow("status of 404")


def test_the_keyboard_is_enough(browser: Browser, site: str) -> None:
    with watched(browser, site) as (page, _):
        page.goto("/")
        first_tile(page)
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowDown")
        at = page.evaluate("document.activeElement.closest('.tile').getAttribute('aria-posinset')")
        columns = page.evaluate(
            "new Set([...document.querySelectorAll('.tile')].map((t) => t.style.transform.split(',')[0])).size"
        )
        assert int(at) == columns + 2
        page.keyboard.press("Enter")
        expect(page.locator("#title")).to_have_text("Most similar")
        page.keyboard.press("?")
        expect(page.locator("dialog")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator("dialog")).to_have_count(0)
        page.keyboard.press("Escape")
        expect(page.locator("#title")).to_have_text("All images")


def test_on_a_phone_the_menu_of_a_tile_does_it_all(browser: Browser, site: str) -> None:
    with watched(browser, site, **PHONE) as (page, _):
        page.goto("/?path=chelsea")
        page.locator(f"{TILE} > a").first.tap()
        expect(page.locator("#title")).to_have_text("Most similar")
        page.locator(f"{TILE}[aria-posinset='2'] button.always").tap()
        page.get_by_role("menuitem", name="Why does it match?").tap()
        expect(page).to_have_url(re.compile(r"/why\?like="))
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 390
