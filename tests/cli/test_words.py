"""`search --text`, `label` and `models pull` as a user types them, with an untrained CLIP in the hub's layout."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from featurelens.cli.main import app
from fixtures.worded import paint


def featurelens(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def photos(clip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    paint(folder, ["red", "green", "blue"], each=4)
    done = featurelens("index", folder, "--backbone", f"clip:{clip.folder}")
    assert done.exit_code == 0, done.output
    return folder


def test_search_by_words_alone_and_with_a_picture(photos: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = featurelens("search", "--text", "a red dress", "-g", photos, "-k", 3, "--json", "--page", page)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert len(found["hits"]) == 3
    assert (found["text"], found["query"], found["nothing_matches_below"]) == (["a red dress"], None, None)
    assert "“a red dress”" in page.read_text()
    assert 'alt="the query"' not in page.read_text()
    like = ("search", "id:1", "--text", "blue", "--less-text", "red", "--text-weight", 2, "-g", photos)
    done = featurelens(*like, "-k", 2)
    assert (done.exit_code, done.stdout.count(".png")) == (0, 2), done.output
    assert featurelens("search", "id:1", "--text", "blue", "--box", "0,0,1,1", "-g", photos).exit_code == 2
    assert featurelens("search", "--less", "id:1", "--text", "blue", "-g", photos).exit_code == 2


def test_label_prints_counts_and_writes_rows(photos: Path, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    done = featurelens("label", photos, "--labels", "red, blue", "--csv", table, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert sum(found["counts"].values()) == len(found["images"]) == 12
    assert set(found["counts"]) == {"red", "blue", "none of these"}
    with table.open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert [row["name"] for row in rows] == [row["name"] for row in found["images"]]
    assert set(rows[0]) == {"name", "label", "best", "score", "margin", "similarity"}
    names = tmp_path / "names.txt"
    names.write_text("red\nblue\n")
    plain = featurelens("label", photos, "--labels-from", names, "--template", "a {} one")
    assert plain.exit_code == 0
    assert "none of these" in plain.stdout
    assert featurelens("label", photos).exit_code == 2


def test_pull_loads_what_is_needed_once(clip) -> None:
    done = featurelens("models", "pull", f"clip:{clip.folder}", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == [
        {"name": f"clip:{clip.folder}", "ready": True, "dim": 32, "text": True, "licence": "mit"}
    ]
    assert featurelens("models", "pull").exit_code == 2
    assert featurelens("models", "resnet*", "vit*").exit_code == 2
