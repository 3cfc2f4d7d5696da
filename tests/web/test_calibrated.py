"""The line below which nothing matches is at hand at once, and follows the gallery."""

from __future__ import annotations

import threading
import time

import numpy as np

from featurelens.features import Features
from featurelens.search import Gallery, nothing_matches_below
from featurelens.web import calibrated as module
from featurelens.web.calibrated import Calibrated
from fixtures.drawn import draw_many
from fixtures.galleries import filled
from fixtures.served import wait_for


def grow(gallery: Gallery, count: int, seed: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(count, gallery.spec.dim)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    gallery.add(Features(tuple(f"{seed}-{i}.png" for i in range(count)), rows, gallery.spec))


def test_it_is_the_gallery_s_own_line_and_follows_it_without_anyone_waiting(tmp_path, monkeypatch):
    draw_many(tmp_path, 2)
    with filled(tmp_path) as gallery:
        line = Calibrated(gallery)
        assert line.line() is None  # two images tell nothing
        grow(gallery, 100, 1)
        first = line.line()
        assert first == nothing_matches_below(gallery)
        hold = threading.Event()

        def slow(gallery: Gallery) -> float | None:
            hold.wait(10)
            return 0.5

        monkeypatch.setattr(module, "nothing_matches_below", slow)
        grow(gallery, 5, 2)
        assert line.line() == first  # five more of a hundred change nothing
        grow(gallery, 50, 3)
        started = time.monotonic()
        assert [line.line() for _ in range(5)] == [first] * 5
        assert time.monotonic() - started < 5
        hold.set()
        assert wait_for(lambda: line.line() == 0.5)
        line.close()
