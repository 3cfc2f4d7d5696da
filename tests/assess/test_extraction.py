"""One pass per backbone, kept in a cache: resumed, brought up to date, begun anew where it must be."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from featurelens.assess.extraction import extract_apart, job_of
from featurelens.assess.layer_choice import layers_to_try, spread
from featurelens.assess.places import place_for
from featurelens.assess.probe_knn import knn_probe
from featurelens.assess.sweep import sweep
from featurelens.backbone import load_backbone
from featurelens.errors import BackboneError, InvalidInput, LayerError
from featurelens.features import extract


def photo(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    tint = {"leaf": (40, 140, 50), "sand": (210, 180, 120)}.get(path.parent.name, (90, 150, 230))
    pixels = np.clip(random.normal(tint, 25, (48, 64, 3)), 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def photos(tmp_path) -> Path:
    for label in ("leaf", "sand"):
        for i in range(10):
            photo(tmp_path / "photos" / label / f"{i}.png", i)
    return tmp_path / "photos"


def test_a_second_pass_embeds_only_what_is_new_and_forgets_what_is_gone(photos, tmp_path):
    job, cache = job_of("classic:colour", photos), tmp_path / "cache"
    first, cost = extract_apart(job, cache)
    assert len(first) == 20
    assert cost.images_per_second
    photo(photos / "sky" / "new.png", 99)
    (photos / "leaf" / "3.png").unlink()
    (photos / "sand" / "broken.png").write_bytes(b"no picture")
    steps: list[tuple[int, int]] = []
    second, same_cost = extract_apart(job, cache, on_progress=lambda *step: steps.append(step))
    assert steps[0] == (19, 21)
    assert same_cost == cost  # two images say nothing about the rate
    assert len(second) == 20
    assert "leaf/3.png" not in second.ids
    assert second.labels[second.ids.index("sky/new.png")] == "sky"
    assert [name for name, _ in second.skipped] == ["sand/broken.png"]


def test_a_backbone_that_changed_under_its_name_begins_anew(photos, tmp_path):
    cache = tmp_path / "cache"
    job, other = job_of("classic:colour", photos), job_of("classic:hog", photos)
    extract_apart(other, cache)
    job.folder(cache).mkdir()
    (other.folder(cache) / "store").rename(job.folder(cache) / "store")
    found, _ = extract_apart(job, cache)
    assert found.spec.name == "classic:colour"
    assert found.vectors.shape == (20, found.spec.dim)


def test_what_the_child_says_is_the_reason_and_chatter_is_not(photos, tmp_path):
    with pytest.raises(BackboneError, match=r"'classic:colr' could not be assessed: .*colour"):
        extract_apart(job_of("classic:colr", photos), tmp_path)
    from featurelens.assess.extraction import _message

    assert _message("Downloading...\n") == {}
    assert _message("3\n") == {}
    assert _message('{"done": 1}\n') == {"done": 1}


def test_where_nothing_can_be_written_beside_the_photos_the_users_cache_is_used(
    photos, tmp_path, monkeypatch
):
    monkeypatch.setenv("FEATURELENS_CACHE", str(tmp_path / "mine"))
    assert place_for(photos) == photos / ".featurelens" / "assess"
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed" / ".featurelens").write_text("in the way")
    place = place_for(tmp_path / "closed")
    assert place.parent == tmp_path / "mine" / "assess"
    assert place.is_dir()
    assert place.name.startswith("closed-")


def test_blocks_are_spread_over_the_depth():
    assert spread([(f"blocks.{i}", 1) for i in range(12)], 4) == [
        "blocks.0",
        "blocks.4",
        "blocks.7",
        "blocks.11",
    ]
    assert spread([("a1", 1), ("a2", 1), ("b.0", 9), ("b.1", 9), ("b.2", 9)], 6) == ["b.0", "b.1", "b.2"]
    assert spread([("stem", 1), ("head", 2)], 6) == ["head"]
    with pytest.raises(InvalidInput, match="shows no layers"):
        layers_to_try(load_backbone("classic:hog"), ["auto"])


def test_a_sweep_tries_layers_and_poolings_keeps_them_and_puts_the_best_first(photos, tmp_path):
    network = load_backbone("test_resnet", engine="torch", pretrained=False)
    steps: list[tuple[int, int]] = []
    options = {"cache": tmp_path / "cache", "k": 5}
    first = sweep(
        photos, network, ["auto"], ["avg", "max"], on_progress=lambda *s: steps.append(s), **options
    )
    assert {choice.layer for choice in first} == {"layer1", "layer2", "layer3", "layer4"}
    assert len(first) == 8
    assert steps[-1] == (20, 20)  # one pass for both poolings
    values = [choice.measures[0].value for choice in first]
    assert values == sorted(values, reverse=True)
    steps.clear()
    second = sweep(
        photos, network, ["auto"], ["avg", "max"], on_progress=lambda *s: steps.append(s), **options
    )
    assert steps == [(20, 20)]  # all from the cache
    assert [c.measures[0].value for c in second] == values
    own = extract(photos, network)
    third = sweep(photos, network, ["layer4"], ["avg", "max"], own=own, **options)
    (mine,) = [choice for choice in third if not choice.pooling]
    assert mine.measures[0].value == knn_probe(own.vectors, own.labels, ks=(5,))[5].value
    for choice in third:
        gap = choice.measures[0].value - mine.measures[0].value
        assert choice is mine or choice.against.difference == pytest.approx(gap)
    with pytest.raises(LayerError, match="layer9"):
        sweep(photos, network, ["layer9"], [])
    with pytest.raises(InvalidInput, match="layers, poolings or both"):
        sweep(photos, network, [], [])


COMMAND = Path(sys.executable).with_name("featurelens")


def featurelens(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *map(str, words)], capture_output=True, text=True, check=False, timeout=200
    )


def test_the_commands_as_a_user_types_them(photos):
    out = photos.parent / "before"
    options = ("--stable", "0", "--out", out, "--json")
    done = featurelens("assess", photos, "--backbones", "classic:colour,no_such_net", *options)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["best"] == "classic:colour"
    assert "no_such_net" in told["failed"]
    assert f"Report: {out / 'report.html'}" in done.stderr
    assert "Measuring classic:colour" in done.stderr
    table = featurelens(
        "assess", photos, "-b", "classic:hog", "--stable", "0", "--out", photos.parent / "after"
    )
    assert table.returncode == 0, table.stderr
    assert "Take classic:hog" in table.stdout
    compared = featurelens("compare", out / "report.html", photos.parent / "after")
    assert compared.returncode == 0, compared.stderr
    assert "classic:colour → classic:hog" in compared.stdout
    assert "p " in compared.stdout
    as_json = json.loads(featurelens("compare", out, photos.parent / "after", "--json").stdout)
    assert as_json["same_images"]
    assert {change["verdict"] for change in as_json["changes"]} <= {
        "better", "worse", "changed", "within noise", "unknown"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("assess", "{}/gone"), 1, "no folder"),
        (("assess", "{}", "--split", "half"), 1, "folds, folder"),
        (("assess", "{}", "--map", "circle"), 1, "pca"),
        (("assess", "{}", "--size", "big"), 2, "--size"),
        (("compare", "{}", "{}"), 1, "featurelens assess"),
    ],
)
def test_wrong_usage_says_what_to_do(words, code, says, tmp_path):
    done = featurelens(*(word.format(tmp_path) for word in words))
    assert done.returncode == code
    assert says in done.stderr
    assert done.stdout == ""
