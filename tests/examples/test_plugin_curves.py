"""The example plugin, installed by pip with its own dist-info: one more modality in every command, with no code here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("hatchling", reason="builds the plugin without a network (group test)")

PLUGIN = Path(__file__).resolve().parents[2] / "examples" / "plugin-curves"
KINDS = ("sine", "square", "saw", "noise")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the plugin as pip installs it."""
    site = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [
            sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps",
            "--no-build-isolation", "--target", site, PLUGIN,
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (site / "featurelens_curves-1.0.dist-info" / "entry_points.txt").is_file()
    return site


@pytest.fixture(scope="module")
def curves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("curves")
    for kind in KINDS:
        (folder / kind).mkdir()
        for number in range(6):
            np.savetxt(
                folder / kind / f"{kind}-{number}.csv",
                curve(kind, number),
                fmt="%.5f",
                header="value",
                comments="",
            )
    (folder / "notes.txt").write_text("shopping list: milk\n")
    (folder / "flat.csv").write_text("1\n" * 50)
    (folder / "short.csv").write_text("1\n2\n")
    (folder / "ragged.csv").write_text("1,2\n" * 9 + "3\n")
    return folder


def curve(kind: str, number: int) -> np.ndarray:
    random = np.random.default_rng([number, KINDS.index(kind)])
    at = np.linspace(0, random.uniform(6, 8), 300) + random.uniform()
    made = {
        "sine": np.sin(2 * np.pi * at), "square": np.sign(np.sin(2 * np.pi * at)), "saw": 2 * (at % 1) - 1,
        "noise": random.normal(size=len(at)),
    }[kind]  # fmt: skip
    return 5 + 3 * made + 0.1 * random.normal(size=len(at))


def run(site: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, "-m", "featurelens", *map(str, words)], capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": paths},
    )  # fmt: skip


def answer(site: Path, *words: str | Path) -> dict:
    done = run(site, *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_it_is_indexed_searched_and_shown(site: Path, curves: Path, tmp_path: Path) -> None:
    told = run(
        site, "index", curves, "--backbone", "curves:rocket", "--at", tmp_path / "gallery", "--show-skipped"
    )
    assert told.returncode == 0, told.stderr
    assert "24 files in the gallery: 24 added." in told.stdout
    for line in (
        "notes.txt: not a table of numbers",
        "flat.csv: none of its columns changes",
        "short.csv: a curve needs 8",
    ):
        assert line in told.stdout
    assert "ragged.csv: its rows are of different lengths" in told.stdout
    for kind in KINDS:
        new = tmp_path / f"new-{kind}.csv"
        np.savetxt(new, curve(kind, 99), delimiter=",")
        found = answer(
            site, "search", new, "-g", tmp_path / "gallery", "-k", "3", "--page", tmp_path / "page.html"
        )
        assert [hit["label"] for hit in found["hits"]] == [kind] * 3
    page = (tmp_path / "page.html").read_text()
    assert "3 most similar of 24 files" in page
    assert page.count("data:image/webp") == 4


def test_it_is_extracted_and_assessed(site: Path, curves: Path, tmp_path: Path) -> None:
    made = answer(site, "extract", curves, "--backbones", "curves:rocket-200", "--out", tmp_path / "features")
    assert (made["images"], made["dim"], made["skipped"]) == (24, 200, 4)
    found = answer(
        site,
        "assess",
        curves,
        "--backbones",
        "curves:rocket-200",
        "--out",
        tmp_path / "report",
        "--cache",
        tmp_path / "cache",
    )
    (one,) = found["backbones"]
    assert one["measures"]["mAP"]["value"] > 0.9
    assert (tmp_path / "report" / "report.html").is_file()


def test_it_is_listed_and_its_errors_are_plain(site: Path, curves: Path, tmp_path: Path) -> None:
    assert [one["source"] for one in json.loads(run(site, "models", "curves:*", "--json").stdout)] == [
        "featurelens-curves"
    ]
    wrong = run(site, "index", curves, "--backbone", "curves:minirocket", "--at", tmp_path / "none")
    assert wrong.returncode == 1
    assert "known are curves:rocket" in wrong.stderr
    missing = run(tmp_path, "index", curves, "--backbone", "curves:rocket", "--at", tmp_path / "none")
    assert missing.returncode == 1
    assert "no kind of backbone named 'curves'" in missing.stderr


def test_a_plugin_that_does_not_load_is_named(tmp_path: Path) -> None:
    info = tmp_path / "broken_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[featurelens.backbones]\nbroken = no_such_module:load\n")
    done = run(tmp_path, "index", tmp_path, "--backbone", "broken:x")
    assert done.returncode == 1
    assert "comes from the package broken-plugin, which does not load" in done.stderr
    assert "pip uninstall broken-plugin" in done.stderr
