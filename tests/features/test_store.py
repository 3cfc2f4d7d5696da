"""The resumable store: nothing lost, nothing doubled, nothing mixed, wherever a run was stopped."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from featurelens.errors import FeaturelensError, GalleryBusy, SpecMismatch
from featurelens.features import Features, extract, gather
from fixtures.drawn import draw, draw_many, drawing
from fixtures.numpy_backbone import NumpyBackbone

TESTS = Path(__file__).resolve().parents[1]
RUN = """
import sys
from fixtures.numpy_backbone import NumpyBackbone
from featurelens.features import extract, gather
gather.COMMIT_ROWS = 8
print("running", flush=True)
extract(sys.argv[1], NumpyBackbone(delay=0.01), store=sys.argv[2], batch_size=4)
"""


def start(photos: Path, store: Path) -> subprocess.Popen:
    env = {**os.environ, "PYTHONPATH": str(TESTS), "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(photos), str(store)], env=env, stdout=subprocess.PIPE
    )


def assert_same(one: Features, other: Features) -> None:
    assert (one.ids, one.labels, one.skipped) == (other.ids, other.labels, other.skipped)
    np.testing.assert_array_equal(one.vectors, other.vectors)


def test_a_second_run_only_does_what_is_new_or_changed(tmp_path):
    photos, store, backbone = tmp_path / "photos", tmp_path / "store", NumpyBackbone()
    draw_many(photos, 6)
    first = extract(photos, backbone, store=store)
    assert_same(extract(photos, backbone, store=store), first)
    assert backbone.embedded == 6
    draw(photos / "002.png", 77, size=(50, 50))
    draw(photos / "new.png", 78)
    (photos / "003.png").unlink()
    assert_same(extract(photos, backbone, store=store), extract(photos, NumpyBackbone()))
    assert backbone.embedded == 8


def test_arrays_are_known_again_by_their_content(tmp_path):
    backbone = NumpyBackbone()
    extract([drawing(1), drawing(2)], backbone, store=tmp_path / "store")
    again = extract([drawing(2), drawing(2)], backbone, store=tmp_path / "store")
    assert backbone.embedded == 3
    np.testing.assert_array_equal(again.vectors[0], again.vectors[1])


def test_an_error_in_the_middle_keeps_what_was_done(tmp_path):
    draw_many(tmp_path / "photos", 12)

    class Failing(NumpyBackbone):
        def embed(self, pixels):
            if self.embedded >= 8:
                raise KeyboardInterrupt
            return super().embed(pixels)

    with pytest.raises(KeyboardInterrupt):
        extract(tmp_path / "photos", Failing(), store=tmp_path / "store", batch_size=4, workers=1)
    backbone = NumpyBackbone()
    made = extract(tmp_path / "photos", backbone, store=tmp_path / "store")
    assert backbone.embedded == 4
    assert_same(made, extract(tmp_path / "photos", NumpyBackbone()))
    assert_same(Features.load(tmp_path / "store").select(range(12)), made)


def test_vectors_of_two_backbones_are_never_mixed(tmp_path):
    images, store = [drawing(1)], tmp_path / "store"
    extract(images, NumpyBackbone(seed=1), store=store)
    with pytest.raises(SpecMismatch, match=r"'numpy-16-1'.*'numpy-16-2'"):
        extract(images, NumpyBackbone(seed=2), store=store)
    with pytest.raises(SpecMismatch, match="pooling avg"):
        extract(images, NumpyBackbone(seed=1), store=store, pooling="avg")
    Features.load(store).save(tmp_path / "saved")
    with pytest.raises(SpecMismatch, match=r"written by Features\.save"):
        extract(images, NumpyBackbone(seed=1), store=tmp_path / "saved")


def test_a_folder_of_something_else_is_not_taken_for_a_store(tmp_path):
    draw(tmp_path / "photos" / "a.png", 1)
    with pytest.raises(FeaturelensError, match=r"is not a store of features \(it holds 'a\.png'\)"):
        extract([drawing(1)], NumpyBackbone(), store=tmp_path / "photos")


def test_a_damaged_part_is_named_and_can_be_deleted(tmp_path):
    draw_many(tmp_path / "photos", 4)
    whole = extract(tmp_path / "photos", NumpyBackbone(), store=tmp_path / "store")
    (part,) = (tmp_path / "store").glob("part-*")
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(FeaturelensError, match="Delete this one file"):
        extract(tmp_path / "photos", NumpyBackbone(), store=tmp_path / "store")
    part.unlink()
    assert_same(extract(tmp_path / "photos", NumpyBackbone(), store=tmp_path / "store"), whole)


def test_killed_again_and_again_then_run_to_the_end(tmp_path):
    photos, store = tmp_path / "photos", tmp_path / "store"
    draw_many(photos, 100)
    (photos / "bad.png").write_bytes(b"\x89PNG broken")
    rng = random.Random(5)
    for _ in range(6):
        before = len(list(store.glob("part-*")))
        run = start(photos, store)
        assert run.stdout is not None
        run.stdout.readline()
        more = rng.randint(0, 2)
        while len(list(store.glob("part-*"))) < before + more and run.poll() is None:
            time.sleep(0.002)
        time.sleep(rng.uniform(0.0, 0.05))
        run.kill()
        run.wait()
        run.stdout.close()
    assert 0 < len(list(store.glob("part-*"))) < 13, "the kills proved nothing: none was between two commits"
    backbone = NumpyBackbone()
    made = extract(photos, backbone, store=store)
    assert backbone.embedded < 100
    assert_same(made, extract(photos, NumpyBackbone()))
    assert not list(store.glob(".*.tmp"))


def test_two_writers_at_once_the_second_is_told_who_writes(tmp_path):
    photos, store = tmp_path / "photos", tmp_path / "store"
    draw_many(photos, 40)
    run = start(photos, store)
    assert run.stdout is not None
    try:
        run.stdout.readline()
        while not (store / "features.json").exists():
            assert run.poll() is None
            time.sleep(0.005)
        os.kill(run.pid, signal.SIGSTOP)  # it sleeps while it holds the lock
        with pytest.raises(GalleryBusy, match=f"process {run.pid} "):
            extract(photos, NumpyBackbone(), store=store)
        os.kill(run.pid, signal.SIGCONT)
        assert run.wait(30) == 0
    finally:
        run.kill()
        run.wait()
        run.stdout.close()
    backbone = NumpyBackbone()
    extract(photos, backbone, store=store)
    assert backbone.embedded == 0


def test_commits_come_in_groups(tmp_path, monkeypatch):
    monkeypatch.setattr(gather, "COMMIT_ROWS", 8)
    draw_many(tmp_path / "photos", 20)
    extract(tmp_path / "photos", NumpyBackbone(), store=tmp_path / "store", batch_size=4)
    assert len(list((tmp_path / "store").glob("part-*"))) == 3


def test_labels_are_those_of_today(tmp_path):
    photos, store = tmp_path / "photos", tmp_path / "store"
    draw_many(photos, 3)
    names = sorted(p.name for p in photos.iterdir())
    for labels in ("aab", "bba"):
        lines = ["file_name,label", *(f"{name},{label}" for name, label in zip(names, labels, strict=True))]
        (photos / "metadata.csv").write_text("\n".join(lines))
        assert "".join(extract(photos, NumpyBackbone(), store=store).labels) == labels


def test_vectors_of_pixels_decoded_otherwise_are_not_mixed(tmp_path):
    draw_many(tmp_path / "photos", 3)
    extract(tmp_path / "photos", NumpyBackbone(), store=tmp_path / "s")
    with pytest.raises(SpecMismatch, match="decoded exactly"):
        extract(tmp_path / "photos", NumpyBackbone(), store=tmp_path / "s", exact=True)


def test_what_was_skipped_is_tried_again_and_an_unchanged_failure_adds_no_part(tmp_path):
    draw(tmp_path / "photos" / "small.png", 1, size=(20, 30))
    draw(tmp_path / "photos" / "big.png", 2, size=(200, 300))
    for _ in range(3):
        found = extract(tmp_path / "photos", NumpyBackbone(), store=tmp_path / "s", max_pixels=10_000)
        assert [name for name, _ in found.skipped] == ["big.png"]
        assert len(list((tmp_path / "s").glob("part-*"))) == 1
    found = extract(tmp_path / "photos", NumpyBackbone(), store=tmp_path / "s")
    assert (found.ids, found.skipped) == (("big.png", "small.png"), ())


def test_a_store_among_the_images_is_no_image(tmp_path):
    draw_many(tmp_path, 2)
    for _ in range(2):
        found = extract(tmp_path, NumpyBackbone(), store=tmp_path / "vectors")
        assert (len(found), found.skipped) == (2, ())
    assert len(list((tmp_path / "vectors").glob("part-*"))) == 1
