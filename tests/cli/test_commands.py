"""The commands as a user types them: what they print, where, and how they exit."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

COMMAND = Path(sys.executable).with_name("featurelens")


def featurelens(*words: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *map(str, words)], cwd=cwd, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three kinds of drawn pictures in three folders, and two files that are no pictures."""
    folder = tmp_path_factory.mktemp("photos")
    for kind, colour in (("sky", (90, 150, 230)), ("leaf", (40, 140, 50)), ("sand", (210, 180, 120))):
        (folder / kind).mkdir()
        for i in range(4):
            random = np.random.default_rng([i, *kind.encode()])
            pixels = np.clip(random.normal(colour, 12, (60, 80, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / kind / f"{kind}-{i}.png")
    (folder / "notes.txt").write_text("not a picture")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    done = featurelens("index", folder, "--backbone", "classic:colour", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["images"] == 12
    assert result["update"]["added"] == 12
    assert result["update"]["skipped"] == 2
    return folder


def an_id(photos: Path) -> str:
    """One of the gallery's images by its id."""
    done = featurelens("search", photos / "sky" / "sky-0.png", "--gallery", photos, "-k", "1", "--json")
    return f"id:{json.loads(done.stdout)['hits'][0]['id']}"


def test_a_second_index_run_does_nothing_and_lists_what_is_skipped(photos: Path) -> None:
    done = featurelens("index", photos, "--show-skipped")
    assert done.returncode == 0, done.stderr
    assert "12 unchanged" in done.stdout
    assert "notes.txt: not an image" in done.stdout
    assert "broken.jpg: " in done.stdout


def test_search_finds_its_own_kind_and_prints_json(photos: Path) -> None:
    done = featurelens("search", photos / "leaf" / "leaf-0.png", "--gallery", photos, "-k", "4", "--json")
    assert done.returncode == 0, done.stderr
    hits = json.loads(done.stdout)["hits"]
    assert [hit["name"].split("/")[0] for hit in hits] == ["leaf"] * 4
    assert hits[0]["name"] == "leaf/leaf-0.png"
    assert hits[0]["similarity"] == pytest.approx(1, abs=1e-4)


def test_search_finds_the_gallery_from_where_one_stands(photos: Path) -> None:
    done = featurelens("search", "sky-1.png", "-k", "3", "--path", "sky/*", cwd=photos / "sky")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("sky/sky-") == 3


def test_search_by_id_and_a_page(photos: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = featurelens("search", an_id(photos), "--gallery", photos, "-k", "3", "--page", page)
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    assert text.count("<li>") == 3
    assert "http" not in text.replace("http-equiv", "")


def test_a_part_is_searched_for_and_drawn_into_the_page(photos: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    part = ("--box", "0.1,0.1,0.6,0.6")
    done = featurelens("search", an_id(photos), "--gallery", photos, *part, "-k", "2", "--page", page)
    assert done.returncode == 0, done.stderr
    assert "marked parts" in page.read_text()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("index", "no-such-folder"), 1, "no folder no-such-folder"),
        (("search", "x.jpg", "--gallery", "/"), 1, "featurelens index"),
        (("search",), 2, "give an image to search with"),
        (("search", "id:x"), 2, "is not an id"),
        (("index", ".", "--no-such-option"), 2, "No such option"),
        (("layers", "--backbone", "resnte50"), 1, "resnet50"),
    ],
)
def test_errors_say_what_to_do_and_nothing_on_stdout(
    words: tuple[str, ...], code: int, said: str, tmp_path: Path
) -> None:
    done = featurelens(*words, cwd=tmp_path)
    assert done.returncode == code
    assert said in " ".join(done.stderr.split())
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_another_backbone_than_the_gallerys_is_refused_by_name(photos: Path) -> None:
    done = featurelens("index", photos, "--backbone", "classic:hog")
    assert done.returncode == 1
    assert "classic:colour" in done.stderr
    assert "classic:hog" in done.stderr


def test_help_lists_every_command_with_a_sentence() -> None:
    done = featurelens("--help")
    assert done.returncode == 0
    for name in ("demo", "index", "search", "layers", "models", "doctor"):
        assert name in done.stdout


def test_version() -> None:
    import featurelens as package

    assert featurelens("--version").stdout.strip() == package.__version__


def test_models_lists_and_narrows() -> None:
    done = featurelens("models", "classic:*", "--json")
    assert {m["name"] for m in json.loads(done.stdout)} >= {"classic:hog", "classic:colour", "classic:lbp"}
    assert "No network matches" in featurelens("models", "zzz*").stderr
    wrong = featurelens("models", "--limit", "-1")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    pytest.importorskip("timm")
    none = featurelens("layers", "--backbone", "test_vit", "--no-pretrained", "--pattern", "zzz*")
    assert "No layer matches 'zzz*'" in none.stderr


def test_what_export_says_to_type_next_can_be_typed() -> None:
    from featurelens.cli.export import To, _use

    assert shlex.split(_use(To.onnx, "embedded", Path("my nets/a")))[-1] == "bundle:my nets/a"


def test_demo_finds_the_right_photo(tmp_path: Path) -> None:
    pytest.importorskip("skimage", reason="the demo photos come with scikit-image (extra demo)")
    done = featurelens("demo", "--at", tmp_path / "demo", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["right_photo_first"] >= 0.97
    assert result["hits"][0]["name"].split("/")[0] == result["query"].split("/")[0]
    assert Path(result["page"]).is_file()
