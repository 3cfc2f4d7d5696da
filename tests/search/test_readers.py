"""Readers while a writer writes; several threads; what a closed or foreign gallery says."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from featurelens.errors import GalleryBusy, GalleryError, SpecMismatch
from featurelens.search import Gallery
from featurelens.search.vectors import Vectors
from fixtures.drawn import draw, draw_many
from fixtures.galleries import filled
from fixtures.numpy_backbone import NumpyBackbone


def test_a_reader_sees_each_batch_as_soon_as_it_is_committed(tmp_path):
    draw_many(tmp_path, 12)
    seen: list[int] = []
    with Gallery.create(tmp_path, backbone=NumpyBackbone()) as writer, Gallery.open(tmp_path) as reader:
        vector = np.ones(16, np.float32)

        def look(progress) -> None:
            seen.append(len(reader.search(vector, k=50)))
            assert seen[-1] == len(reader) == progress.done

        writer.update(batch_size=3, workers=1, on_progress=look)
        assert seen == [0, 3, 6, 9, 12]
        (tmp_path / "003.png").unlink()
        draw(tmp_path / "004.png", 99, size=(50, 50))
        writer.update()
        assert {hit.name for hit in reader.search(vector, k=50)} == {hit.name for hit in writer.images()}
        assert len(reader.features()) == 11


def test_threads_may_search_while_the_same_gallery_is_updated(tmp_path):
    draw_many(tmp_path, 60)
    stop, errors = threading.Event(), []
    with filled(tmp_path, NumpyBackbone()) as gallery:
        draw_many(tmp_path, 120, first=60)
        for i in range(0, 60, 2):
            (tmp_path / f"{i:03d}.png").unlink()

        def search(seed: int) -> int:
            rng, done = np.random.default_rng(seed), 0
            while not stop.is_set():
                hits = gallery.search(rng.normal(size=16).astype(np.float32), k=5)
                if not hits or [h.similarity for h in hits] != sorted(
                    (h.similarity for h in hits), reverse=True
                ):
                    errors.append(hits)
                done += 1
            return done

        with ThreadPoolExecutor(3) as pool:
            counts = [pool.submit(search, seed) for seed in range(3)]
            gallery.update(batch_size=2)
            stop.set()
            assert all(count.result() > 0 for count in counts)
        assert not errors
        assert len(gallery) == 150


def test_a_search_that_was_interrupted_leaves_no_row_twice(tmp_path, monkeypatch):
    draw_many(tmp_path, 6)
    with filled(tmp_path) as gallery:
        gallery.search(np.ones(16, np.float32))
        draw_many(tmp_path, 4, first=6)
        (tmp_path / "002.png").unlink()
        gallery.update()

        def interrupted(*_) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(Vectors, "_bury", interrupted)
            with pytest.raises(KeyboardInterrupt):
                gallery.search(np.ones(16, np.float32))
        hits = gallery.search(np.ones(16, np.float32), k=20)
        assert sorted(hit.name for hit in hits) == [f"{i:03d}.png" for i in range(10) if i != 2]
        assert gallery.finder.snapshot().alive == 9


def test_a_second_writer_is_told_and_searching_goes_on(tmp_path):
    draw_many(tmp_path, 8)
    with Gallery.create(tmp_path, backbone=NumpyBackbone()) as gallery, Gallery.open(tmp_path) as second:
        second._backbone = NumpyBackbone()

        def try_to_write(_progress) -> None:
            with pytest.raises(GalleryBusy, match=r"is being written by process \d+ .* Wait for it to end"):
                second.update()
            second.search(np.ones(16, np.float32))

        gallery.update(on_progress=try_to_write, batch_size=4)
        second.update()


def test_vectors_of_two_backbones_are_never_mixed(tmp_path):
    draw_many(tmp_path, 2)
    with filled(tmp_path, NumpyBackbone(seed=1)) as gallery, pytest.raises(SpecMismatch):
        gallery.add(
            gallery.features().__class__.from_raw(["x"], np.ones((1, 16), np.float32), NumpyBackbone().spec)
        )
    with pytest.raises(SpecMismatch, match=r"holds vectors of 'numpy-16-1' .* given is 'numpy-16-2'"):
        Gallery.open(tmp_path, backbone=NumpyBackbone(seed=2))


def test_a_backbone_that_has_changed_under_its_name_is_noticed(tmp_path):
    draw_many(tmp_path, 2)
    filled(tmp_path).close()
    newer = NumpyBackbone(seed=5)
    newer.spec = replace(newer.spec, name="numpy-16-0")
    with pytest.raises(SpecMismatch, match=r"what has that name now .* have changed"):
        Gallery.open(tmp_path, backbone=newer)


def test_creating_and_opening_in_wrong_places(tmp_path):
    photos = tmp_path / "photos"
    draw_many(photos, 2)
    backbone = NumpyBackbone()
    with pytest.raises(GalleryError, match="There is no gallery in"):
        Gallery.open(photos)
    with pytest.raises(GalleryError, match="cannot be the images folder itself"):
        Gallery.create(photos, backbone=backbone, at=photos)
    draw_many(tmp_path / "full", 1)
    with pytest.raises(GalleryError, match=r"is not empty \(it holds '000\.png'\)"):
        Gallery.create(photos, backbone=backbone, at=tmp_path / "full")
    (photos / ".featurelens" / "assess").mkdir(parents=True)  # what other commands keep there is no stranger
    Gallery.create(photos, backbone=backbone).close()
    with pytest.raises(GalleryError, match="holds a gallery already"):
        Gallery.create(photos, backbone=backbone)
    closed = Gallery.open(photos)
    closed.close()
    closed.close()
    with pytest.raises(GalleryError, match="was closed"):
        closed.images()


def test_both_folders_can_move_together(tmp_path):
    draw_many(tmp_path / "photos", 3)
    filled(tmp_path / "photos").close()
    (tmp_path / "photos").rename(tmp_path / "moved")
    with Gallery.open(tmp_path / "moved") as gallery:
        assert gallery.images_folder == tmp_path / "moved"
        assert all(hit.path.is_file() for hit in gallery.images())


@pytest.mark.parametrize("damage", ["text", "cut", "another database", "newer"])
def test_a_damaged_database_is_said_with_what_to_do(tmp_path, damage):
    draw_many(tmp_path / "photos", 30)
    with filled(tmp_path / "photos", at=tmp_path / "gallery"):
        pass
    path = tmp_path / "gallery" / "gallery.db"
    if damage == "text":
        path.write_text("not a database at all" * 100)
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:20000])
    elif damage == "newer":
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA user_version = 99")
        connection.close()
    else:
        path.unlink()
        connection = sqlite3.connect(path)
        connection.execute("CREATE TABLE stamps (x)")
        connection.close()
    with pytest.raises(
        GalleryError, match="newer featurelens" if damage == "newer" else "is damaged.*not touched"
    ):
        Gallery.open(tmp_path / "gallery").features()
