"""What a user gets wrong ends in one line that says what to do, never in a traceback."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from featurelens.cli.main import app
from featurelens.images.find import find_files
from fixtures.base_install import base_install
from fixtures.drawn import draw

COMMAND = Path(sys.executable).with_name("featurelens")
PAGE = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")


def told(*words: str | Path | bytes, cwd: Path, env: dict[str, str] | None = None, code: int = 1) -> str:
    """What a command says on stderr when it fails."""
    done = subprocess.run(
        [COMMAND, *words], cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two photos and their gallery, in a folder with brackets in its name."""
    folder = tmp_path / "my [old] photos"
    draw(folder / "a.png", 1)
    draw(folder / "b.png", 2)
    subprocess.run([COMMAND, "index", folder, "-b", "classic:colour"], check=True, capture_output=True)
    return folder


@pytest.mark.parametrize(
    "words",
    [
        ("units", "photos", "--out", "photos/units"),
        ("units", "photos", "--out", "link/units"),
        ("visualize", "layer3:1", "--images", "photos", "--out", "photos/best.png"),
        ("tune", "photos", "--out", "photos/run"),
        ("before-after", "other", "--other", "photos", "--out", "photos/deep/changes"),
    ],
)
def test_pictures_are_not_written_among_the_images_that_are_read(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    for folder in ("photos", "other"):
        draw(tmp_path / folder / "a.png", 1)
    (tmp_path / "link").symlink_to("photos")
    said = " ".join(told(*words, cwd=tmp_path, code=2).replace("│", " ").split())
    assert "lies among the images of 'photos'" in said
    assert "photos/featurelens-out" in said
    assert [one.name for one in (tmp_path / "photos").iterdir()] == ["a.png"]


SMALL = ("--backbone", "test_resnet", "--no-pretrained", "--device", "cpu")


@pytest.mark.parametrize(
    "words",
    [
        ("explain", "a.png", "--against", "b.png"),
        ("explain", "a.png", *SMALL),
        ("maps", "a.png", *SMALL),
        ("visualize", "layer3:1", "--images", ".", "--steps", "1", *SMALL),
    ],
)
def test_what_is_drawn_in_the_folder_of_the_photos_is_none_of_them(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed, name in enumerate(("a.png", "b.png")):
        draw(tmp_path / name, seed)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, (done.output, done.exception)
    assert list(tmp_path.rglob(f"{words[0]}.png"))
    assert [found.name for found in find_files(tmp_path)] == ["a.png", "b.png"]


def commands_of_the_lab() -> list[str]:
    block = next(b for b in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) if "featurelens tune" in b)
    lines = (line.split("#")[0].split() for line in block.splitlines())
    return [" ".join(words[1:]) for words in lines if "--against" not in words]


@pytest.mark.parametrize("command", commands_of_the_lab())
def test_without_torch_it_says_which_extra_to_install(command: str, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "hidden").mkdir()
    words = command.replace("photo.jpg", "a.png").replace("~/Pictures", ".").split()
    words = [str(photos) if word.startswith("~") else word for word in words]
    said = told(*words, cwd=photos, env=base_install(tmp_path / "hidden"))
    assert re.search(r"pip install 'featurelens\[(lab|export)\]'", " ".join(said.split()))


def test_a_network_that_needs_torch_is_announced_where_it_is_not_there(tmp_path: Path) -> None:
    done = subprocess.run(
        [COMMAND, "models", "resnet*"], env=base_install(tmp_path), capture_output=True, text=True, check=True
    )
    assert "pip install 'featurelens[lab]'" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("search", "a.png", "--page", "/proc/nothing/x.html"),
        ("duplicates", "--csv", "/proc/nothing/x.csv"),
        ("extract", ".", "-b", "classic:colour", "--out", "/proc/nothing/x.npy"),
        ("explain", "a.png", "--against", "b.png", "--out", "/proc/nothing/x.png"),
    ],
    ids=lambda words: words[0],
)
def test_what_cannot_be_written_is_named(words: tuple[str, ...], photos: Path) -> None:
    assert "/proc/nothing" in told(*words, cwd=photos)


def test_a_folder_for_the_result_is_made(photos: Path, tmp_path: Path) -> None:
    page = tmp_path / "new" / "folder" / "x.html"
    subprocess.run([COMMAND, "search", "a.png", "--page", page], cwd=photos, check=True, capture_output=True)
    assert page.is_file()


@pytest.mark.parametrize("number", ["²", "-1", "99999999999999999999999", "", "1e3"])
def test_what_is_no_id_is_wrong_usage(number: str, photos: Path) -> None:
    assert "is not an id" in told("search", f"id:{number}", cwd=photos, code=2)


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux")
def test_a_query_whose_name_is_no_text_has_its_page(photos: Path, tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/caf\xe9.png"
    with open(odd, "wb") as file:
        file.write((photos / "a.png").read_bytes())
    page = tmp_path / "p.html"
    subprocess.run([COMMAND, "search", odd, "--page", page], cwd=photos, check=True, capture_output=True)
    assert "a.png" in page.read_text(encoding="utf-8")
    assert not list(tmp_path.glob("*.tmp")) + list(tmp_path.glob(".*.tmp"))


def test_brackets_in_a_path_are_printed_as_they_are_and_quoted_for_the_shell(photos: Path) -> None:
    done = subprocess.run([COMMAND, "index", photos], capture_output=True, text=True, check=True)
    assert f"Gallery: {photos}/.featurelens" in done.stderr
    assert f"--gallery '{photos}/.featurelens'" in done.stderr


def test_a_gallery_elsewhere_takes_no_other_folder_but_follows_its_own(photos: Path, tmp_path: Path) -> None:
    at = ("-b", "classic:colour", "--at", tmp_path / "g")
    subprocess.run([COMMAND, "index", photos, *at], check=True, capture_output=True)
    draw(tmp_path / "others" / "c.png", 3)
    assert "holds the images of" in told("index", tmp_path / "others", "--at", tmp_path / "g", cwd=tmp_path)
    assert "holds the images of" in told("index", tmp_path / "typo", "--at", tmp_path / "g", cwd=tmp_path)
    photos.rename(tmp_path / "moved")
    done = subprocess.run(
        [COMMAND, "index", tmp_path / "moved", "--at", tmp_path / "g"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "2 unchanged" in done.stdout
