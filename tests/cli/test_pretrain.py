"""`featurelens pretrain` on a folder of images: what comes out is a backbone that indexes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).with_name("featurelens")


def featurelens(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *map(str, words)], capture_output=True, text=True, check=False, timeout=280
    )


@pytest.mark.slow
def test_a_folder_becomes_a_backbone_that_indexes_it(tmp_path: Path) -> None:
    from featurelens.adapt.checkpoints import read
    from fixtures.scenes import saved, scene

    photos = tmp_path / "photos"
    for kind in ("a", "b"):
        (photos / kind).mkdir(parents=True)
        for n in range(12):
            (photos / kind / f"{n}.jpg").write_bytes(saved(scene(n + 50 * (kind == "b"), 60, 80), "JPEG"))
    run = (
        "--out",
        tmp_path / "run",
        "--steps",
        "1",
        "--seed",
        "5",
        "--bundle",
        tmp_path / "bundle",
        "--json",
    )
    done = featurelens("pretrain", photos, *run, "--threads", "1")
    assert done.returncode == 0, done.stderr
    assert "started from embedded" in done.stderr
    assert "knn" in done.stderr, "the folders are labels, and the monitor looks at them"
    assert json.loads(done.stdout)["steps"] == 1
    assert read(tmp_path / "run" / "checkpoint.pt")["recipe"]["seed"] == 5
    done = featurelens("index", photos, "--backbone", f"bundle:{tmp_path / 'bundle'}", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["images"] == 24


def test_no_steps_want_a_bundle_to_fit(tmp_path: Path) -> None:
    done = featurelens("pretrain", tmp_path, "--out", tmp_path / "run", "--steps", "0")
    assert done.returncode == 2
    assert "--bundle" in done.stderr


def test_what_no_backbone_can_be_made_of_is_told_before_the_training(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(
        'architecture = "test_vit"\noptions = {dynamic_img_size = true}\nphases = [[2, 32, 8]]\npool = 64\n'
    )
    done = featurelens(
        "pretrain", tmp_path / "r.toml", "--out", tmp_path / "run", "--bundle", tmp_path / "bundle"
    )
    assert done.returncode == 1
    said = " ".join(done.stderr.split())
    assert "Traceback" not in said
    assert "'test_vit' does not give them" in said
    assert 'Set result = "network"' in said
    assert not (tmp_path / "run").exists()


def test_too_few_images_and_a_missing_folder_are_told(tmp_path: Path) -> None:
    done = featurelens("pretrain", tmp_path, "--out", tmp_path / "run")
    assert done.returncode == 1
    assert "at least 20" in done.stderr
    done = featurelens("pretrain", tmp_path / "gone", "--out", tmp_path / "run")
    assert done.returncode == 1
    assert "gone" in done.stderr
    assert "Traceback" not in done.stderr
