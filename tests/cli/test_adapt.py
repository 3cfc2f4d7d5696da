"""`featurelens adapt` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from featurelens.cli.main import app
from fixtures.learning import draw_classes

FAST = ["--epochs", "2", "--head-epochs", "5", "--batch-size", "8", "--backbone", "classic:colour"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    from featurelens.assess.domains import write_domain

    place = tmp_path_factory.mktemp("domains")
    photos = draw_classes(place / "photos")
    write_domain(photos, place / "cast", "colour-cast")
    return photos, place / "cast"


def run(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, [str(w) for w in words])
    return done.exit_code, done.stdout, done.stderr


def test_the_shift_alone(folders: tuple[Path, Path], tmp_path: Path) -> None:
    code, out, err = run("adapt", *map(str, folders), *FAST, "--dry-run", "--out", str(tmp_path))
    assert code == 0, err
    for name in ("proxy A-distance", "MMD²", "CORAL distance", "CKA over dimensions"):
        assert name in out
    assert "furthest apart" in err


def test_a_result_and_its_files(folders: tuple[Path, Path], tmp_path: Path) -> None:
    code, out, err = run("adapt", *map(str, folders), *FAST, "--out", str(tmp_path))
    assert code == 0, err
    assert "Target accuracy" in out
    assert "* taken, by clarity" in out
    assert "--backbone fused:" in err
    shift = json.loads((tmp_path / "shift.json").read_text())
    assert set(shift) == {"before", "after"}
    code, out, err = run("adapt", *map(str, folders), *FAST, "--out", str(tmp_path), "--json")
    found = json.loads(out)
    assert found["method"] in {"none", "coral", "deep-coral", "mmd", "dann", "mcc", "pseudo"}
    assert found["shift"]["before"]["measures"]["MMD²"]["value"] is not None


def test_wrong_use_is_told(folders: tuple[Path, Path], tmp_path: Path) -> None:
    from featurelens.errors import FeaturelensError

    photos, cast = folders
    for words in (
        [photos / "sky", cast],
        [photos, photos / "sky" / "00.png"],
        [photos, cast, "--methods", "dan"],
    ):
        done = CliRunner().invoke(app, ["adapt", *map(str, words), *FAST, "--out", str(tmp_path / "o")])
        assert isinstance(done.exception, FeaturelensError), done.output
