"""Real processes: kill -9 at any moment, two writers at once."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from featurelens.search import Gallery
from fixtures.drawn import draw, draw_many, encoded
from fixtures.galleries import assert_complete
from fixtures.numpy_backbone import NumpyBackbone

TESTS = Path(__file__).resolve().parents[1]


def start(images: Path, at: Path, delay: float) -> subprocess.Popen[str]:
    env = {**os.environ, "PYTHONPATH": str(TESTS), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "fixtures.index_run", str(images), str(at), str(delay)]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)


def end(run: subprocess.Popen[str]) -> str:
    run.kill()
    assert run.stdout is not None
    rest = run.stdout.read()
    run.stdout.close()
    run.wait()
    return rest


def wait_for(run: subprocess.Popen[str], word: str) -> None:
    assert run.stdout is not None
    for line in run.stdout:
        if line.startswith(word):
            return
    raise AssertionError(f"the run ended before it said '{word}'")


@pytest.mark.parametrize("kills", [5, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_at_random_moments_then_run_to_the_end(tmp_path, kills):
    photos, at = tmp_path / "photos", tmp_path / "gallery"
    draw_many(photos / "cat", 150)
    draw_many(photos / "dog", 100, first=150)
    (photos / "half.png").write_bytes(encoded(1)[:80])
    (photos / "notes.txt").write_text("no picture")
    (photos / "twin.png").write_bytes(encoded(200))
    rng, finished = random.Random(kills), 0
    for kill in range(kills):
        run = start(photos, at, 0.03)
        wait_for(run, "ready")
        for _ in range(rng.randint(0, 3)):
            wait_for(run, "done")
        time.sleep(rng.uniform(0, 0.1))
        finished += "finished" in end(run)
        if kill % 5 == 4:  # life goes on meanwhile
            (photos / "cat" / f"{kill:03d}.png").rename(photos / f"moved {kill}.png")
            (photos / "cat" / f"{kill - 1:03d}.png").unlink(missing_ok=True)
            draw(photos / "cat" / f"{kill - 2:03d}.png", 1000 + kill, size=(30, 60))
    assert finished == 0, "the kills proved nothing: a run had ended before"
    before = 0
    if (at / "gallery.db").exists():
        with Gallery.open(at) as gallery:
            before = len(gallery)
    assert before > 0, "the kills proved nothing: no run had committed anything"
    backbone = NumpyBackbone()
    with Gallery.open(at, backbone=backbone) as gallery:
        gallery.update()
        assert backbone.embedded <= 254 - before + 4
        assert_complete(gallery, tmp_path / "fresh")
        assert gallery.search(photos / "twin.png", k=2)[1].similarity > 0.999999
    assert not list(at.glob("*.tmp*")) + list(at.glob(".*.tmp*")), "a killed run left its rubbish for ever"


def test_two_writers_at_once_the_second_gets_a_clear_error(tmp_path):
    photos, at = tmp_path / "photos", tmp_path / "gallery"
    draw_many(photos, 60)
    first = start(photos, at, 0.05)
    try:
        wait_for(first, "done 4")
        second = start(photos, at, 0.0)
        assert second.wait(30) == 1
        said = end(second)
        assert "GalleryBusy" in said
        assert f"process {first.pid} " in said
        with Gallery.open(at) as reader:
            assert len(reader.search(np.ones(16, np.float32))) > 0
    finally:
        end(first)
    third = start(photos, at, 0.0)  # the killed one leaves no lock behind
    assert third.wait(30) == 0
    assert "finished" in end(third)
    with Gallery.open(at) as gallery:
        assert_complete(gallery, tmp_path / "fresh")
