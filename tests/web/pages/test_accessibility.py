"""axe-core finds no serious or critical problem on any page, in either theme, on a desk and on a phone."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from featurelens.search import Gallery
from featurelens.web.learning import learn_concepts
from fixtures.watched import DESKTOP, PHONE, watched

AXE = Path(sys.prefix) / "axe" / "node_modules" / "axe-core" / "axe.min.js"
PAGES = {
    "gallery": ("/", "#grid .tile img.here"),
    "search": ("/?like={a}", "#grid .tile img.here"),
    "feedback": ("/?like={a},{b}&unlike={c}&min=0.2", ".group.less img"),
    "missing": ("/?like=99999999", "#state .state"),
    "why": ("/why?like={a}&id={b}", ".wires path"),
    "map": ("/map", "#legend li"),
    "choose": ("/image", "#grid .tile img.here"),
    "inside": ("/image/{a}", ".layer, #layers .notice"),
    "unit": ("/unit?layer=features.0&unit=1", "#state > *, #answers > *"),
    "concepts": ("/concepts", "#concepts img"),
    "concept": ("/concept/0", "#about h3"),
    "by concept": ("/?concept=0", "#query .along"),
    "led": ("/?like={a}&concept=0:0.5,1:-0.5", "#query input[type=range]"),
    "duplicates": ("/duplicates", "#groups > li, #state .state"),
    "quality": ("/quality", "#result > *, #state > *"),
    "jobs": ("/jobs", "#skipped li"),
}


@pytest.fixture(scope="module")
def axe() -> str:
    if not AXE.is_file():
        pytest.skip("needs axe-core; `make test` installs it where npm is at hand (make axe)")
    return AXE.read_text(encoding="utf-8")


REST = [
    pytest.param(*pair, marks=pytest.mark.slow)
    for pair in (("phone", "dark"), ("desk", "dark"), ("phone", "light"))
]


@pytest.mark.parametrize(("size", "theme"), [("desk", "light"), *REST])
def test_no_serious_problem(
    browser: Browser, photos: Path, site: str, axe: str, size: str, theme: str
) -> None:
    found: dict[str, list[str]] = {}
    learned(photos)
    options = {**(PHONE if size == "phone" else DESKTOP), "color_scheme": theme}
    with watched(browser, site, **options) as (page, faults):
        page.goto("/")
        a, b, c = page.evaluate(
            "async () => (await (await fetch('/api/v1/images')).json()).images.slice(0, 3).map((i) => i.id)"
        )
        for name, (address, ready) in PAGES.items():
            page.goto(address.format(a=a, b=b, c=c))
            page.wait_for_selector(ready, timeout=30_000, state="attached")
            if name == "led":
                page.get_by_role("button", name="Another concept").click()
                page.wait_for_selector("dialog.picker li")
            problems = check(page, axe)
            if problems:
                found[name] = problems
        faults.allow("status of 404")
        faults.allow("status of 5")
    assert not found


def learned(photos: Path) -> None:
    """A few concepts for the served gallery, quickly: it is not about them."""
    with Gallery.open(photos) as gallery:
        home = gallery.folder / "concepts"
        if not home.exists():
            learn_concepts(gallery, home, count=12, active=2, top=6, steps=50)


def check(page: object, axe: str) -> list[str]:
    """Serious and critical problems of a page as lines of text."""
    page.evaluate(axe)  # pyright: ignore[reportAttributeAccessIssue]
    answer = page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")  # pyright: ignore[reportAttributeAccessIssue]
    return [
        f"{one['impact']} {one['id']}: {node['target']} {node['failureSummary']}"
        for one in answer
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"][:3]
    ]


def test_axe_sees_a_planted_problem(browser: Browser, site: str, axe: str) -> None:
    with watched(browser, site) as (page, _):
        page.goto("/jobs")
        page.wait_for_selector("#skipped li")
        assert check(page, axe) == []
        page.evaluate(
            """() => {
            const button = document.querySelector("#starts button");
            button.removeAttribute("aria-label");
            button.textContent = "";
        }"""
        )
        assert any("button-name" in line for line in check(page, axe))
