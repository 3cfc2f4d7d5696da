"""What the README shows, done in a folder of demo photos."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `photos/` (32 crops of 16 photos) and `query.jpg`."""
    pytest.importorskip("skimage", reason="the demo photos come with scikit-image (extra demo)")
    from featurelens.images.samples import make_samples

    folder = tmp_path_factory.mktemp("readme")
    samples = make_samples(folder / "photos", crops=2)
    (folder / "query.jpg").write_bytes(samples[0].path.read_bytes())
    return folder


def test_the_python_example_runs(folder: Path) -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", README, re.DOTALL))
    assert "Gallery" in code
    code = code.replace('"resnet50"', '"classic:hog"')  # its weights would have to be downloaded
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "astronaut" in done.stdout


def commands() -> list[str]:
    block = next(b for b in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if "featurelens search" in b)
    lines = [line.split("#")[0].strip() for line in block.splitlines()]
    return [
        line[line.index("featurelens") :]
        for line in lines
        if "featurelens" in line and "activate" not in line
    ]


@pytest.mark.parametrize("command", commands())
def test_each_command_of_the_tour_runs(command: str, folder: Path) -> None:
    """With the demo photos for ~/Pictures, and no browser to open."""
    photos = folder / "photos"
    words = command.replace("~/Pictures", str(photos)).replace("holiday.jpg", str(folder / "query.jpg"))
    words = words.replace("--open", f"--page {folder / 'page.html'}").replace("2024/*", "astronaut/*")
    featurelens = Path(sys.executable).with_name("featurelens")
    if "search" in words:  # in the order of the tour the folder has been indexed
        subprocess.run([featurelens, "index", photos], check=True, capture_output=True)
    arguments = [word.strip("'") for word in words.split()[1:]]
    done = subprocess.run([featurelens, *arguments], cwd=photos, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)", README):
        assert (ROOT / target).exists(), target
