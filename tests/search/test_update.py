"""update: only what is new, changed, moved or deleted costs work, and the report says what was done."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest

from featurelens.errors import GalleryError
from featurelens.features import Features, Progress
from featurelens.search import Gallery
from fixtures.drawn import draw, draw_many, encoded
from fixtures.galleries import assert_complete, content, filled
from fixtures.numpy_backbone import NumpyBackbone

ODD_NAMES = [b"-dash.png", b"new\nline.png", b"caf\xe9.png", "e\u0301.png".encode(), "\u00e9.png".encode()]
ODD_NAMES += [b"x" * 196 + b".png", b"quote'\".png", b"%41?.png", b" spaces ", "\U0001f408.png".encode()]


@pytest.fixture
def photos(tmp_path):
    draw_many(tmp_path / "photos" / "cat", 8)
    draw_many(tmp_path / "photos" / "dog", 4, first=8)
    return tmp_path / "photos"


def counts(report):
    return report.added, report.changed, report.moved, report.removed, report.unchanged, report.skipped


def test_the_first_update_embeds_all_and_the_second_nothing(photos, tmp_path):
    backbone = NumpyBackbone()
    with Gallery.create(photos, backbone=backbone) as gallery:
        assert counts(gallery.update()) == (12, 0, 0, 0, 0, 0)
        assert counts(gallery.update()) == (0, 0, 0, 0, 12, 0)
        assert backbone.embedded == 12
        assert_complete(gallery, tmp_path / "fresh")


def test_each_kind_of_change_is_seen_for_what_it_is(photos, tmp_path):
    backbone = NumpyBackbone()
    with filled(photos, backbone) as gallery:
        before = {hit.name: hit.id for hit in gallery.images()}
        draw(photos / "new.png", 50)
        draw(photos / "cat" / "000.png", 51, size=(60, 60))
        (photos / "cat" / "001.png").rename(photos / "dog" / "renamed.png")
        (photos / "cat" / "002.png").unlink()
        assert counts(gallery.update()) == (1, 1, 1, 1, 9, 0)
        assert backbone.embedded == 14, "a rename must not cost an embedding"
        after = {hit.name: hit.id for hit in gallery.images()}
        assert after["dog/renamed.png"] == before["cat/001.png"]
        assert after["cat/000.png"] != before["cat/000.png"]
        assert gallery.image(after["dog/renamed.png"]).label == "dog"
        assert_complete(gallery, tmp_path / "fresh")


def test_a_touched_file_is_read_but_not_embedded(photos, tmp_path):
    backbone = NumpyBackbone()
    with filled(photos, backbone) as gallery:
        before = gallery.images()
        os.utime(photos / "cat" / "000.png", ns=(1, 1))
        assert counts(gallery.update()) == (0, 0, 0, 0, 12, 0)
        assert (backbone.embedded, gallery.images()) == (12, before)
        assert_complete(gallery, tmp_path / "fresh")


def test_a_renamed_folder_costs_nothing(photos):
    backbone = NumpyBackbone()
    with filled(photos, backbone) as gallery:
        (photos / "cat").rename(photos / "felis")
        assert counts(gallery.update()) == (0, 0, 8, 0, 4, 0)
        assert backbone.embedded == 12
        assert {hit.label for hit in gallery.images()} == {"felis", "dog"}


def test_copies_are_listed_twice_and_embedded_once(photos, tmp_path):
    backbone = NumpyBackbone()
    with filled(photos, backbone) as gallery:
        (photos / "copy.png").write_bytes((photos / "cat" / "003.png").read_bytes())
        assert counts(gallery.update()) == (1, 0, 0, 0, 12, 0)
        assert backbone.embedded == 12
        hits = gallery.search(photos / "copy.png", k=2)
        assert {hit.name for hit in hits} == {"copy.png", "cat/003.png"}
        assert hits[0].similarity == hits[1].similarity
        assert_complete(gallery, tmp_path / "fresh")


@pytest.mark.parametrize("cycle", [2, 3])
def test_files_that_change_places(photos, tmp_path, cycle):
    names = [photos / "cat" / f"00{i}.png" for i in range(cycle)]
    with filled(photos) as gallery:
        contents = [name.read_bytes() for name in names]
        for name, data in zip(names, contents[1:] + contents[:1], strict=True):
            name.write_bytes(data)
        gallery.update()
        assert_complete(gallery, tmp_path / "fresh")


def test_bad_files_are_remembered_and_not_tried_again_until_they_change(photos, tmp_path):
    (photos / "notes.txt").write_text("no picture")
    (photos / "half.png").write_bytes(encoded(1)[:80])
    (photos / "empty.jpg").write_bytes(b"")
    backbone, events = NumpyBackbone(), []
    with Gallery.create(photos, backbone=backbone) as gallery:
        report = gallery.update(on_progress=events.append)
        assert counts(report) == (12, 0, 0, 0, 0, 3)
        assert [name for name, _ in gallery.skipped()] == ["empty.jpg", "half.png", "notes.txt"]
        assert isinstance(events[-1], Progress)
        assert (events[-1].done, events[-1].total, events[-1].failed) == (15, 15, 3)
        gallery.update(on_progress=events.append)
        assert events[-1].total == 0
        gallery.update(on_progress=events.append, retry_skipped=True)
        assert events[-1].total == 3
        (photos / "half.png").rename(photos / "moved.png")
        (photos / "empty.jpg").write_bytes(encoded(60))
        assert counts(gallery.update()) == (0, 1, 0, 0, 12, 2)
        assert [name for name, _ in gallery.skipped()] == ["moved.png", "notes.txt"]
        assert_complete(gallery, tmp_path / "fresh")


@pytest.mark.skipif(os.name == "nt", reason="Windows forbids such names")
def test_odd_names_are_kept_byte_for_byte(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for i, name in enumerate(ODD_NAMES):
        (photos / os.fsdecode(name)).write_bytes(encoded(i))
    with filled(photos) as gallery:
        assert set(content(gallery)) == set(ODD_NAMES)
        for hit in gallery.images():
            assert hit.path.is_file()
            assert gallery.search(hit.path, k=1)[0].name == hit.name
        assert counts(gallery.update()) == (0, 0, 0, 0, len(ODD_NAMES), 0)


def test_labels_follow_the_metadata_without_work(photos):
    backbone = NumpyBackbone()
    with filled(photos, backbone) as gallery:
        (photos / "metadata.csv").write_text("file_name,label\ncat/000.png,tabby\n")
        gallery.update()
        labels = {hit.name: hit.label for hit in gallery.images()}
        assert (labels["cat/000.png"], labels["cat/001.png"]) == ("tabby", None)
        assert backbone.embedded == 12


def test_broken_metadata_does_not_stop_indexing(photos):
    (photos / "metadata.jsonl").write_text("{oops")
    with Gallery.create(photos, backbone=NumpyBackbone()) as gallery:
        report = gallery.update()
        assert report.added == 12
        assert any("metadata.jsonl" in note for note in report.notes)


def test_a_folder_that_is_away_deletes_nothing(photos, tmp_path):
    with filled(photos, at=tmp_path / "gallery") as gallery:
        photos.rename(tmp_path / "elsewhere")
        with pytest.raises(GalleryError, match="is not there"):
            gallery.update()
        photos.mkdir()
        with pytest.raises(GalleryError, match=r"is empty, but the gallery knows 12 files"):
            gallery.update()
        assert len(gallery) == 12
    with Gallery.open(
        tmp_path / "gallery", backbone=NumpyBackbone(), images=tmp_path / "elsewhere"
    ) as gallery:
        assert counts(gallery.update()) == (0, 0, 0, 0, 12, 0)
    with Gallery.open(tmp_path / "gallery") as gallery:
        assert gallery.images_folder == tmp_path / "elsewhere"


def test_a_folder_that_cannot_be_read_keeps_its_images(photos, monkeypatch):
    from featurelens.images import find

    real = os.scandir

    def scandir(path):
        if os.fspath(path).endswith("dog"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    with filled(photos) as gallery:
        (photos / "cat" / "000.png").unlink()
        monkeypatch.setattr(find.os, "scandir", scandir)
        report = gallery.update()
        assert counts(report) == (0, 0, 0, 1, 11, 0)
        assert report.notes == ("dog: permission denied; images known from there are kept",)


def test_ctrl_c_keeps_what_was_done(photos, tmp_path):
    class Interrupted(NumpyBackbone):
        def embed(self, pixels):
            if self.embedded >= 4:
                raise KeyboardInterrupt
            return super().embed(pixels)

    with Gallery.create(photos, backbone=Interrupted()) as gallery:
        with pytest.raises(KeyboardInterrupt):
            gallery.update(batch_size=2, workers=1)
        assert len(gallery) == 4
    backbone = NumpyBackbone()
    with Gallery.open(photos, backbone=backbone) as gallery:
        gallery.update()
        assert backbone.embedded == 8
        assert_complete(gallery, tmp_path / "fresh")


def test_a_gallery_inside_the_images_does_not_index_itself(photos):
    with filled(photos, at=photos / "my gallery") as gallery:
        gallery.thumbnail(1)
        assert counts(gallery.update()) == (0, 0, 0, 0, 12, 0)


def test_vectors_that_cannot_be_used_are_skipped_with_the_reason(photos):
    class Odd(NumpyBackbone):
        def embed(self, pixels):
            return super().embed(pixels) * 0

    with Gallery.create(photos, backbone=Odd()) as gallery:
        assert counts(gallery.update()) == (0, 0, 0, 0, 0, 12)
        assert "zero vector" in gallery.skipped()[0][1]


def test_a_gallery_made_anew_is_not_written_by_one_that_was_opened_before(tmp_path):
    draw_many(tmp_path / "photos", 4)
    old = Gallery.create(tmp_path / "photos", backbone=NumpyBackbone())
    old.update()
    shutil.rmtree(tmp_path / "photos" / ".featurelens")
    with Gallery.create(tmp_path / "photos", backbone=NumpyBackbone(seed=1)) as new:
        new.update()
        before = new.features()
        draw(tmp_path / "photos" / "more.png", 9)
        with pytest.raises(GalleryError, match="made anew"):
            old.update()
        with pytest.raises(GalleryError, match="made anew"):
            old.add(Features(("given",), before.vectors[:1], old.spec))
        assert np.array_equal(new.features().vectors, before.vectors)
    old.close()


def test_images_that_another_process_has_moved_are_not_moved_back(photos, tmp_path):
    at, moved = tmp_path / "gallery", tmp_path / "moved"
    with filled(photos, at=at) as stale:
        photos.rename(moved)
        with Gallery.open(at, backbone=NumpyBackbone(), images=moved) as gallery:
            gallery.update()
        with pytest.raises(GalleryError, match=r"were moved to .*moved.* Open it again"):
            stale.update()
    with Gallery.open(at) as gallery:
        assert gallery.images_folder == moved


def test_a_move_of_the_images_that_comes_to_nothing_is_not_remembered(photos, tmp_path):
    (tmp_path / "empty").mkdir()
    filled(photos, at=tmp_path / "gallery").close()
    with (
        Gallery.open(tmp_path / "gallery", backbone=NumpyBackbone(), images=tmp_path / "empty") as gallery,
        pytest.raises(GalleryError, match="Nothing was changed"),
    ):
        gallery.update()
    with Gallery.open(tmp_path / "gallery") as gallery:
        assert gallery.images_folder == photos
