"""The commands on tables: the same words, and errors that say what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from featurelens.cli.main import app
from featurelens.errors import GalleryError, MissingExtra
from featurelens.scale import engines
from featurelens.search import Gallery
from featurelens.web.app import make_app
from fixtures.drawn import draw_many, encoded
from scale.test_sources import shard


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    draw_many(tmp_path / "photos" / "cat", 6)
    (tmp_path / "photos" / "half.png").write_bytes(encoded(1)[:80])
    shard(tmp_path / "shards" / "0.tar", range(4), bad=True)
    return tmp_path


def run(*words: str) -> dict:
    done = CliRunner().invoke(app, [*words, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_index_search_and_index_again(folder: Path) -> None:
    first = run("index", "photos", "-g", "g.lance", "-b", "classic:colour", "--show-skipped")
    assert (first["images"], first["update"]["added"]) == (6, 6)
    assert first["gallery"] == str(folder / "g.lance")
    assert [one["name"] for one in first["skipped_files"]] == ["half.png"]
    assert run("index", "photos", "-g", "g.lance")["update"]["unchanged"] == 6
    hits = run("search", "photos/cat/003.png", "-g", "g.lance", "-k", "2")["hits"]
    assert hits[0]["name"] == "cat/003.png"
    assert not (folder / "photos" / ".featurelens").exists()


def test_shards(folder: Path) -> None:
    found = run("index", "shards/*.tar", "--gallery", "s.lance", "-b", "classic:colour", "--show-skipped")
    assert (found["update"]["added"], found["skipped_files"][0]["name"]) == (4, "0.tar/bad.png")
    hits = run("search", "shards/0.tar/00002.png", "-g", "s.lance", "-k", "1")["hits"]
    assert hits[0]["name"] == "0.tar/00002.png"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["index", "photos", "--on", "ray"], "--gallery NAME.lance"),
        (["index", "photos", "-g", "g.lance", "--on", "spark"], "ray:ADDRESS"),
        (["index", "photos", "-g", "g.lance", "--keep-old", "x"], "--backbone NETWORK"),
        (["search", "photos/cat/000.png", "-g", "none.lance"], "There is no gallery"),
        (["index", "shards/0.tar"], "--gallery NAME.lance"),
        (["index", "nowhere", "-g", "g.lance"], "There is no folder"),
        (["index", "photos", "shards", "-g", "g.lance"], "one folder or address"),
    ],
)
def test_errors_say_what_to_do(folder: Path, words: list[str], said: str) -> None:
    done = CliRunner().invoke(app, words)
    text = " ".join(f"{done.output} {done.exception or ''}".replace("│", " ").split())
    assert done.exit_code != 0
    assert said in text


def test_without_the_extra_it_says_how_to_install_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(engines, "import_module", missing)
    with pytest.raises(MissingExtra, match=r"pip install 'featurelens\[scale\]'"):
        Gallery.open("g.lance")
    with pytest.raises(MissingExtra, match="ray"):
        engines.load_ray()


def test_another_folder_s_images_do_not_take_their_place(folder: Path) -> None:
    run("index", "photos", "-g", "g.lance", "-b", "classic:colour")
    with pytest.raises(GalleryError, match="holds the images of"):
        CliRunner().invoke(app, ["index", "shards", "-g", "g.lance"], catch_exceptions=False)
    assert len(Gallery.open("g.lance")) == 6


def test_the_web_app_serves_a_table_of_shards(folder: Path) -> None:
    from starlette.testclient import TestClient

    run("index", "shards/*.tar", "-g", "s.lance", "-b", "classic:colour")
    with TestClient(make_app("s.lance"), base_url="http://127.0.0.1") as client:
        listed = client.get("/api/v1/images?limit=2").json()
        assert listed["total"] == 4
        one = listed["images"][0]["id"]
        assert client.get(f"/api/v1/images/{one}/thumbnail").content[:4] == b"RIFF"
        original = client.get(f"/api/v1/images/{one}/file")
        assert (original.content, original.headers["content-type"]) == (encoded(0), "image/png")
        assert client.get("/").status_code == 200


def test_a_new_backbone_for_other_images_empties_nothing_and_a_broken_run_goes_on(tmp_path: Path) -> None:
    draw_many(tmp_path / "photos", 3)
    draw_many(tmp_path / "others", 1)
    at = ["-g", str(tmp_path / "g.lance")]
    run("index", str(tmp_path / "photos"), *at, "-b", "classic:colour")
    renewing = [*at, "-b", "classic:hog", "--keep-old", "colour"]
    with pytest.raises(GalleryError, match="holds the images of"):
        run("index", str(tmp_path / "others"), *renewing)
    with Gallery.open(tmp_path / "g.lance") as gallery:
        assert (len(gallery), gallery.spec.name) == (3, "classic:colour")
    for _ in range(2):  # the second time as after a stop
        run("index", str(tmp_path / "photos"), *renewing)
        with Gallery.open(tmp_path / "g.lance") as gallery:
            assert (len(gallery), gallery.spec.name) == (3, "classic:hog")
