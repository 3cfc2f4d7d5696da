"""The README's picture: the page of one search in the demo gallery, photographed in Chromium.

python docs/make_search_picture.py docs/images/search.webp   (needs playwright and a Chromium)
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

FLAGS = ["--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader", "--disable-background-networking"]
QUERY = "motorcycle/motorcycle-03.jpg"


def main() -> None:
    target = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as name:
        gallery, page = Path(name) / "demo", Path(name) / "results.html"
        command = [sys.executable, "-m", "featurelens"]
        subprocess.run([*command, "demo", "--at", gallery], check=True, stdout=subprocess.DEVNULL)
        search = [*command, "search", QUERY, "-k", "10", "--page", page]
        subprocess.run(search, check=True, stdout=subprocess.DEVNULL, cwd=gallery)
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
            tab = browser.new_page(viewport={"width": 1200, "height": 760}, device_scale_factor=1.5)
            tab.goto(page.as_uri())
            picture = Image.open(io.BytesIO(tab.screenshot(full_page=True)))
            browser.close()
    target.parent.mkdir(parents=True, exist_ok=True)
    picture.save(target, quality=80)


if __name__ == "__main__":
    main()
