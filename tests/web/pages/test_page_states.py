"""What a page shows when something is forbidden, comes late, or is gone."""

from __future__ import annotations

from playwright.sync_api import Browser, Route, expect

from fixtures.drawn import encoded
from fixtures.watched import watched

FORBIDDEN = """for (const name of ["localStorage", "sessionStorage"]) Object.defineProperty(window, name, {
    get() { throw new DOMException("forbidden", "SecurityError"); },
});"""


def test_where_storage_is_forbidden_the_search_page_works(browser: Browser, site: str) -> None:
    with watched(browser, site) as (page, _):
        page.add_init_script(FORBIDDEN)
        page.goto("/")
        expect(page.locator("#grid .tile img.here").first).to_be_visible()
        page.locator("#sizes button").last.click()
        expect(page.locator("#sizes button").last).to_have_attribute("aria-pressed", "true")


def test_the_picture_that_was_brought_last_counts(browser: Browser, site: str) -> None:
    """The first one arrives late: its answer comes after that of the second."""
    with watched(browser, site) as (page, _):
        page.goto("/")
        expect(page.locator("#title")).to_have_text("All images")
        held: list[Route] = []

        def hold_first(route: Route) -> None:
            if held:
                route.continue_()
            else:
                held.append(route)

        page.route("**/api/v1/uploads", hold_first)
        for i, name in enumerate(("old.png", "new.png")):
            picture = {"name": name, "mimeType": "image/png", "buffer": encoded(i)}
            page.locator("#file").set_input_files(picture)  # pyright: ignore[reportArgumentType]
            page.wait_for_timeout(200)
        expect(page.locator("#query")).to_contain_text("new.png")
        address = page.url
        held[0].continue_()
        page.wait_for_timeout(1000)
        assert page.url == address


def test_groups_that_are_gone_are_not_shown(browser: Browser, twins: str) -> None:
    with watched(browser, twins) as (page, _):
        image = {"id": 1, "name": "a.jpg", "thumbnail": "/icon", "width": 1, "height": 1, "how": "same"}
        group = {"kind": "exact", "similarity": 1, "members": [image, image]}
        told = {"made": "2026-01-01T00:00:00+00:00", "groups": [group]}
        page.route("**/api/v1/duplicates", lambda route: route.fulfill(json=told))
        page.route("**/icon", lambda route: route.fulfill(body=encoded(1), content_type="image/png"))
        page.goto("/duplicates")
        expect(page.locator("#groups > li")).to_have_count(1)
        told["groups"] = []
        page.locator("#again").click()
        expect(page.locator("#state")).to_contain_text("No duplicates", timeout=60_000)
        expect(page.locator("#groups > li")).to_have_count(0)
