"""Every page of the web app, in both themes and at two widths, photographed in Chromium: to be looked at.

python docs/make_web_pictures.py FOLDER [--gallery DIR] [--only NAME]   all of them, as PNG (default: the demo photos)
python docs/make_web_pictures.py docs/images/web.webp                   the one picture of docs/web.md
(needs playwright and a Chromium)
"""

from __future__ import annotations

import argparse
import io
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

FLAGS = ["--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader", "--disable-background-networking"]
SIZES = {"desktop": {"width": 1360, "height": 860}, "phone": {"width": 390, "height": 844}}
LAB = {"inside": 60_000, "why-method": 60_000, "quality": 180_000}  # what takes long, in ms


def pages(first: int, other: int, layer: str) -> dict[str, tuple[str, str]]:
    """Name → (address, what must be there before the picture is taken)."""
    return {
        "gallery": ("/", "#grid .tile img.here"),
        "search": (f"/?like={first}", "#grid .tile img.here"),
        "region": (f"/?like={first}&box=0.2,0.2,0.7,0.7", "#grid .tile img.here"),
        "feedback": (f"/?like={first},{other}&unlike={other + 30}", "#grid .tile img.here"),
        "weak": (f"/?like={first}&min=0.999", "#state .state"),
        "missing": ("/?like=999999999", "#state .state"),
        "why": (f"/why?like={first}&id={other}", ".wires path"),
        "map": ("/map", "#legend li"),
        "choose": ("/image", "#grid .tile img.here"),
        "inside": (f"/image/{first}", "#maps .chip, #maps .notice"),
        "unit": (f"/unit?layer={layer}&unit=3", "#answers img, #state .state, #state .notice"),
        "concepts": ("/concepts", "#concepts img, #state .state"),
        "concept": ("/concept/0", "#exemplars img, #state .state"),
        "led": (f"/?like={first}&concept=0:0.5,1:-0.5", "#grid .tile img.here, #state .state"),
        "duplicates": ("/duplicates", "#groups li, #state .state"),
        "quality": ("/quality", "#result .score, #state .state, #state .notice"),
        "jobs": ("/jobs", "#jobs li"),
    }


def main() -> None:
    wanted = argparse.ArgumentParser()
    wanted.add_argument("target", type=Path)
    wanted.add_argument("--gallery", type=Path)
    wanted.add_argument("--only", default="")
    given = wanted.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        served(given.gallery, Path(folder)) as base,
        sync_playwright() as play,
    ):
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        if given.target.suffix == ".webp":
            one_picture(browser, base, given.target)
        else:
            all_pictures(browser, base, given.target, given.only)
        browser.close()


def all_pictures(browser: Browser, base: str, target: Path, only: str) -> None:
    target.mkdir(parents=True, exist_ok=True)
    first, other = two_images(browser, base)
    for size, viewport in SIZES.items():
        for theme in ("light", "dark"):
            tab = browser.new_page(
                viewport=viewport, color_scheme=theme, base_url=base, has_touch=size == "phone"
            )
            for name, (address, ready) in pages(first, other, "features.0").items():
                if only in name:
                    shoot(tab, name, address, ready, target / f"{name}-{size}-{theme}.png")
            tab.close()


def shoot(tab: Page, name: str, address: str, ready: str, file: Path) -> None:
    tab.goto(address)
    try:
        tab.wait_for_selector(ready, timeout=LAB.get(name, 15_000))
    except Exception as error:  # noqa: BLE001 (a page that fails is to be looked at, too)
        sys.stderr.write(f"{name}: {str(error).splitlines()[0]}\n")
    tab.wait_for_timeout(700)
    tab.screenshot(path=file)
    sys.stderr.write(f"{file}\n")


def one_picture(browser: Browser, base: str, target: Path) -> None:
    """A search beside the reason for its first match."""
    tab = browser.new_page(viewport={"width": 1360, "height": 860}, base_url=base, color_scheme="light")
    first, other = two_images(browser, base)
    shots = []
    for address, ready in (
        (f"/?like={first}", "#grid .tile img.here"),
        (f"/why?like={first}&id={other}", ".wires path"),
    ):
        tab.goto(address)
        tab.wait_for_selector(ready)
        tab.wait_for_timeout(900)
        shots.append(Image.open(io.BytesIO(tab.screenshot())).convert("RGB"))
    both = Image.new("RGB", (shots[0].width, sum(shot.height for shot in shots) + 24), "#d5d7d4")
    both.paste(shots[0], (0, 0))
    both.paste(shots[1], (0, shots[0].height + 24))
    target.parent.mkdir(parents=True, exist_ok=True)
    both.save(target, quality=78, method=6)


def two_images(browser: Browser, base: str) -> tuple[int, int]:
    """An image that shows a search well, and its best match."""
    tab = browser.new_page(base_url=base)
    tab.goto("/")
    found = tab.evaluate(
        """async () => {
        const images = (await (await fetch("/api/v1/images?limit=5000")).json()).images;
        const query = images.find((one) => one.name.startsWith("coffee/")) ?? images[Math.floor(images.length / 2)];
        const body = JSON.stringify({ids: [query.id], k: 3});
        const headers = {"content-type": "application/json"};
        const said = await (await fetch("/api/v1/search", {method: "POST", headers, body})).json();
        return [query.id, said.hits.find((hit) => hit.id !== query.id).id];
    }"""
    )
    tab.close()
    return found[0], found[1]


@contextmanager
def served(gallery: Path | None, folder: Path) -> Iterator[str]:
    """The service on a gallery, or on the demo photos."""
    command = [sys.executable, "-m", "featurelens"]
    if gallery is None:
        gallery = folder / "demo"
        subprocess.run([*command, "demo", "--at", gallery], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([*command, "concepts", gallery], check=True, stdout=subprocess.DEVNULL)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = subprocess.Popen([*command, "serve", gallery, "--port", str(port)], stdout=subprocess.DEVNULL)
    base = f"http://127.0.0.1:{port}"
    try:
        for _ in range(150):
            try:
                urlopen(f"{base}/health").close()
                break
            except URLError:
                time.sleep(0.2)
        yield base
    finally:
        running.terminate()
        running.wait(20)


if __name__ == "__main__":
    main()
