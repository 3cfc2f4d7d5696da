"""Same images, same queries: SQLite, a table in a folder, a table on S3 give the same hits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from featurelens.errors import GalleryError, InvalidInput, SpecMismatch
from featurelens.features import Features
from featurelens.search import Gallery, Hit, find_duplicates, nothing_matches_below, search_like
from featurelens.search.listing import Listing
from fixtures.drawn import draw, draw_many, encoded
from fixtures.numpy_backbone import NumpyBackbone
from scale.conftest import put_folder

FILTERS = [
    {},
    {"label": "cat"},
    {"label": "o'hare"},
    {"path": "dog"},
    {"path": "dog/"},
    {"path": "*1?.png"},
    {"path": "cat/0[0-2]*"},
    {"path": "[^c]*"},
    {"path": "d*g/*", "label": "dog"},
    {"path": "50% (a+b)"},
    {"min_similarity": 0.8},
    {"exact": True},
]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    draw_many(folder / "cat", 30)
    draw_many(folder / "dog", 25, first=30)
    draw(folder / "o'hare" / "it's \\ %.png", 70)
    draw(folder / "50% (a+b)" / "ünï.png", 71)
    (folder / "cat" / "twin.png").write_bytes(encoded(7))
    (folder / "half.png").write_bytes(encoded(1)[:80])
    (folder / "notes.txt").write_text("no picture")
    return folder


def filled(images: object, at: object) -> Gallery:
    gallery = Gallery.create(images, backbone=NumpyBackbone(), at=at)  # pyright: ignore[reportArgumentType]
    gallery.update(batch_size=8)
    return gallery


def plain(hits: list[Hit]) -> list[tuple]:
    return [(h.id, h.name, h.label, h.width, h.height) for h in hits]


def same(one: list[Hit], other: list[Hit]) -> None:
    assert plain(one) == plain(other)
    np.testing.assert_allclose([h.similarity for h in one], [h.similarity for h in other], atol=1e-4)


@pytest.mark.parametrize("where", ["folder", "s3"])
def test_every_call_gives_what_sqlite_gives(photos: Path, tmp_path: Path, where: str, request) -> None:
    folder = filled(photos, tmp_path / "sqlite")
    if where == "s3":
        put_folder(request.getfixturevalue("s3"), "pics", photos)
        table = filled("s3://pics/photos", "s3://pics/photos.lance")
    else:
        table = filled(photos, tmp_path / "photos.lance")
    assert len(table) == len(folder) == 58
    assert table.skipped() == folder.skipped()
    for query in (photos / "cat" / "003.png", 5, np.ones(16, np.float32), "dog/031.png", encoded(40)):
        for limits in FILTERS:
            same(table.search(query, k=7, **limits), folder.search(query, k=7, **limits))
    assert plain(table.images()) == plain(folder.images())
    ours, theirs = table.features(), folder.features()
    assert (ours.ids, ours.labels) == (theirs.ids, theirs.labels)
    np.testing.assert_array_equal(ours.vectors, theirs.vectors)
    same(search_like(table, [1, 2], less=[40]), search_like(folder, [1, 2], less=[40]))
    assert nothing_matches_below(table) == nothing_matches_below(folder)
    assert Listing(table).page(3, 5, label="cat")[0] == Listing(folder).page(3, 5, label="cat")[0]
    assert table.thumbnail(1) == folder.thumbnail(1)
    assert plain([table.image(2)]) == plain([folder.image(2)])
    groups = find_duplicates(table, exact_only=True)
    assert [plain(list(group.members)) for group in groups] == [
        plain(list(group.members)) for group in find_duplicates(folder, exact_only=True)
    ]


def test_a_thumbnail_of_an_edited_file_is_not_kept_for_what_it_was(tmp_path: Path) -> None:
    draw_many(tmp_path / "photos", 2)
    table = filled(tmp_path / "photos", tmp_path / "photos.lance")
    one, other = table.images()
    draw(one.path, 7, size=(30, 60))
    assert table.thumbnail(one)[:4] == table.thumbnail(other)[:4] == b"RIFF"
    (kept,) = table.folder.rglob("*.webp")
    assert kept.read_bytes() == table.thumbnail(other)


def test_a_second_update_finds_what_has_changed(photos: Path, tmp_path: Path) -> None:
    folder, table = filled(photos, tmp_path / "sqlite"), filled(photos, tmp_path / "photos.lance")
    assert table.update().unchanged == 58
    (photos / "cat" / "003.png").unlink()
    (photos / "half.png").write_bytes(encoded(90))
    draw(photos / "cat" / "004.png", 91, size=(30, 60))
    draw(photos / "new.png", 92)
    (photos / "dog" / "040.png").touch()
    (touched,) = (hit.id for hit in table.images() if hit.name == "dog/040.png")
    for gallery in (folder, table):
        report = gallery.update()
        assert (report.added, report.changed, report.removed, report.skipped) in {(1, 2, 1, 1), (2, 1, 1, 1)}
    assert {hit.name for hit in table.images()} == {hit.name for hit in folder.images()}
    by_name = {hit.name: hit.id for hit in table.images()}
    assert by_name["dog/040.png"] == touched, "only touched: it keeps its id"
    one, other = table.features(), folder.features()
    np.testing.assert_array_equal(one.vectors[np.argsort(one.ids)], other.vectors[np.argsort(other.ids)])
    (photos / "metadata.csv").write_text("file_name,label\ncat/000.png,tabby\n")
    table.update()
    assert [hit.label for hit in table.images() if hit.label] == ["tabby"]


def test_given_vectors_replace_those_of_the_same_name(photos: Path, tmp_path: Path) -> None:
    table = filled(photos, tmp_path / "photos.lance")
    vectors = np.eye(16, dtype=np.float32)[:3]
    table.add(Features(("a", "b", "cat/000.png"), vectors, table.spec, ("x", "", "y")))
    assert len(table) == 60
    assert [h.name for h in table.search(vectors[2], k=1)] == ["cat/000.png"]
    assert table.update().removed == 0, "what was given has no file and stays"


def test_what_cannot_be_is_said(photos: Path, tmp_path: Path) -> None:
    table = filled(photos, tmp_path / "photos.lance")
    with pytest.raises(GalleryError, match="holds a gallery already"):
        Gallery.create(photos, backbone=NumpyBackbone(), at=tmp_path / "photos.lance")
    with pytest.raises(GalleryError, match="There is no gallery"):
        Gallery.open(tmp_path / "none.lance")
    with pytest.raises(SpecMismatch):
        Gallery.open(tmp_path / "photos.lance", backbone=NumpyBackbone(seed=1))
    with pytest.raises(InvalidInput, match="has the id 999"):
        table.search(999)
    with pytest.raises(InvalidInput, match="no image of that name"):
        table.search("nowhere.png")
    for path in photos.rglob("*.*"):
        path.unlink()
    with pytest.raises(GalleryError, match="is empty"):
        table.update()


def test_names_that_are_no_text(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    draw_many(photos, 2)
    odd = "caf\udce9.png"
    try:
        (photos / "000.png").rename(photos / odd)
    except OSError:
        pytest.skip("this disk allows no such name")
    table = filled(photos, tmp_path / "photos.lance")
    assert [hit.name for hit in table.images()] == ["001.png", odd]
    assert table.search(photos / odd, k=1)[0].path.read_bytes() == encoded(0)
    assert table.update().unchanged == 2
