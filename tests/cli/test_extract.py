"""`featurelens extract` as a user types it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from featurelens.features import Features

COMMAND = Path(sys.executable).with_name("featurelens")


def featurelens(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *map(str, words)], capture_output=True, text=True, check=False, timeout=120
    )


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from fixtures.scenes import saved, scene

    folder = tmp_path_factory.mktemp("photos")
    for kind in ("a", "b"):
        (folder / kind).mkdir()
        for n in range(12):
            (folder / kind / f"{n}.png").write_bytes(saved(scene(n + 50 * (kind == "b"), 60, 80), "PNG"))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 no")
    return folder


@pytest.mark.parametrize("name", ["features", "features.npy", "features.parquet"])
def test_features_of_one_backbone(photos: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    done = featurelens("extract", photos, "--backbones", "classic:colour", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "24 images" in done.stdout
    assert "broken.jpg" in done.stderr
    reader = {
        "features": Features.load,
        "features.npy": Features.from_npy,
        "features.parquet": Features.from_parquet,
    }
    found = reader[name](out)
    assert len(found) == 24
    assert found.labels is not None
    assert found.labels[0] == "a"


@pytest.mark.slow
def test_fused_features_and_a_gallery_of_them(photos: Path, tmp_path: Path) -> None:
    both = ("--backbones", "classic:hog,classic:colour", "--fusion", "weights")
    kept = ("--out", tmp_path / "f", "--backbone-out", tmp_path / "fused", "--check", "--json")
    done = featurelens("extract", photos, *both, *kept)
    assert done.returncode == 0, done.stderr
    assert "learned from the labels of these images" in done.stderr
    told = json.loads(done.stdout)
    assert told["images"] == 24
    assert {g["measure"] for g in told["gains"]} == {"linear probe accuracy", "mAP"}
    fused = f"fused:{tmp_path / 'fused'}"
    done = featurelens("index", photos, "--backbone", fused, "--at", tmp_path / "gallery", "--json")
    assert done.returncode == 0, done.stderr
    done = featurelens(
        "search", photos / "b" / "3.png", "--gallery", tmp_path / "gallery", "-k", "1", "--json"
    )
    hit = json.loads(done.stdout)["hits"][0]
    assert hit["name"] == "b/3.png"
    assert hit["similarity"] == pytest.approx(1, abs=1e-4)
    assert np.allclose(np.linalg.norm(Features.load(tmp_path / "f").vectors, axis=1), 1, atol=1e-3)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-b", "classic:hog,classic:colour"), "with --fusion"),
        (("-b", "classic:hog", "--fusion", "concat"), "two or more"),
        (("-b", "classic:hog,classic:colour", "--fusion", "sum"), "concat"),
        (("-b", "classic:hog", "--check"), "--check need"),
        (("-b", "classic:hog,classic:colour", "--fusion", "concat", "--layers", "x"), "one backbone"),
    ],
)
def test_what_does_not_go_together_is_told(
    photos: Path, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    done = featurelens("extract", photos, "--out", tmp_path / "f", *words)
    assert done.returncode == 1
    assert said in " ".join(done.stderr.split())
