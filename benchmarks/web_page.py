"""How long until a person sees something: `serve` to first results on 1,000 images; and scrolling 100,000 thumbnails.

python benchmarks/web_page.py first|scroll   (no argument: both; needs playwright and a Chromium)

"first": the browser is open, the service is not. The clock runs from the start of `featurelens serve` over the
opening of its page to a click on a picture, and stops when the first result is drawn. Warm, which is judged: files and
byte code have been read once before, and the browser has been on the page before, as on any day but the first (the same
port; each round clicks another picture). Told beside it: a browser that has never been there.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from _harness import report, table
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, ViewportSize, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from fixtures.serving import serving
from fixtures.vast_service import vast_service
from fixtures.watched import launch

VIEW: ViewportSize = {"width": 1360, "height": 860}
# The moment at which the first tile of the results has been painted, on the page's own clock.
PAINTED = """async (before) => {
    const drawn = () => {
        const tile = document.querySelector("#grid .tile:not([hidden])[aria-posinset='1']");
        const done = tile?.querySelector("img.here") && !document.querySelector("#grid[aria-busy='true']");
        return done && document.title.startsWith(before);
    };
    while (!drawn()) await new Promise((next) => requestAnimationFrame(next));
    return new Promise((next) => requestAnimationFrame(() => requestAnimationFrame(() => next(performance.now()))));
}"""
SCROLL = """async ({steps, by}) => {
    let last = performance.now();
    const gaps = [];
    for (let i = 0; i < steps; i += 1) {
        scrollBy(0, by);
        await new Promise((next) => requestAnimationFrame(next));
        gaps.push(performance.now() - last);
        last = performance.now();
    }
    return gaps;
}"""


def photos(folder: Path, count: int) -> None:
    """Files as a camera makes them, in small: smooth colours with some detail, 640 × 480."""
    random = np.random.default_rng(0)
    for i in range(count):
        coarse = Image.fromarray(random.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        coarse.resize((640, 480), Image.Resampling.BICUBIC).save(folder / f"{i:04d}.jpg", quality=88)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


def first_results(browser: BrowserContext, folder: Path, port: int, at: int) -> dict[str, float]:
    """Seconds until `serve` has printed its address, until its page shows pictures, until a click shows results."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "featurelens", "serve", str(folder), "--port", str(port), "--no-update"]
    service = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert service.stdout is not None
        address = service.stdout.readline().strip()
        serving_at = time.perf_counter() - started
        page = browser.new_page()
        page.goto(address, wait_until="commit")
        page.evaluate(PAINTED, "All images")
        page_at = time.perf_counter() - started
        clicked = page.evaluate(
            """(at) => {
            const before = performance.now();
            document.querySelector(`#grid .tile:not([hidden])[aria-posinset='${at}'] > a`).click();
            return before;
        }""",
            at,
        )
        click = (page.evaluate(PAINTED, "Most similar") - clicked) / 1000
        total = time.perf_counter() - started
        page.close()
    finally:
        service.terminate()
        service.wait(20)
    return {"serve prints its address": serving_at, "its page shows pictures": page_at - serving_at,
            "a click shows results": click, "from serve to results": total}  # fmt: skip


def first_claim(browser: Browser, rounds: int) -> None:
    from featurelens import Gallery

    def visits(*, returning: bool) -> dict[str, float]:
        kept = browser.new_context(viewport=VIEW)
        runs, port = [], free_port()
        for at in range(1, rounds + 2):
            runs.append(first_results(kept, folder, port, at))
            if not returning:
                kept.close()
                kept = browser.new_context(viewport=VIEW)
        kept.close()
        return {key: statistics.median(run[key] for run in runs[1:]) for key in runs[0]}

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos(folder, 1000)
        with Gallery.create(folder) as gallery:
            gallery.update()
        never, warm = visits(returning=False), visits(returning=True)
    rows = [[key, seconds, never[key]] for key, seconds in warm.items()]
    print(table(["seconds until", "warm", "a browser's first visit"], rows))
    total = round(warm["from serve to results"], 3)
    report(
        "serve to first results in the browser, 1,000 images",
        total,
        "<= 1 s",
        total <= 1,
        {"warm": warm, "first visit": never},
    )


def scroll_claim(browser: Browser) -> None:
    with serving(vast_service(100_000)) as address:
        page = browser.new_page(viewport=VIEW)
        page.goto(address)
        page.evaluate(PAINTED, "All images")
        page.evaluate(
            """() => {
            window.longTasks = [];
            new PerformanceObserver((list) => { for (const one of list.getEntries()) window.longTasks.push(one.duration); })
                .observe({type: "longtask"});
        }"""
        )
        gaps = []
        for steps, by in ((200, 60), (200, 400), (100, 6000), (100, -3000)):
            gaps += page.evaluate(SCROLL, {"steps": steps, "by": by})
        page.wait_for_timeout(300)
        long = page.evaluate("window.longTasks")
    frames = np.array(gaps)
    detail = {
        "frames": len(gaps),
        "median ms between frames": float(np.median(frames)),
        "p99": float(np.percentile(frames, 99)),
        "tasks over 50 ms": len(long),
    }
    print(table(["scrolling 100,000 thumbnails", "value"], list(detail.items())))
    longest = round(max(long, default=0.0), 1)
    report(
        "longest task over 50 ms while 100,000 thumbnails scroll", longest, "0 (none)", longest == 0, detail
    )


def main() -> None:
    wanted = argparse.ArgumentParser()
    wanted.add_argument("claim", nargs="?", choices=("first", "scroll"))
    wanted.add_argument("--rounds", type=int, default=5)
    given = wanted.parse_args()
    with sync_playwright() as play:
        browser = launch(play)
        if given.claim != "scroll":
            first_claim(browser, given.rounds)
        if given.claim != "first":
            scroll_claim(browser)
        browser.close()


if __name__ == "__main__":
    main()
