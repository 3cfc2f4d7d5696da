"""search: every kind of query, the limits, and what cannot be searched with."""

from __future__ import annotations

import io
import os

import numpy as np
import pytest
from PIL import Image

from featurelens.errors import ImageError, InvalidInput
from featurelens.search import Gallery, Hit
from fixtures.drawn import draw, draw_many, drawing, encoded
from fixtures.galleries import filled
from fixtures.numpy_backbone import NumpyBackbone
from oracles.nearest import nearest


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    photos = tmp_path_factory.mktemp("photos")
    draw_many(photos / "cat", 6)
    draw_many(photos / "dog", 6, first=6)
    draw(photos / "top.png", 12)
    with filled(photos, NumpyBackbone()) as opened:
        yield opened


def test_the_hits_are_those_of_a_full_comparison(gallery):
    features = gallery.features()
    rows, cosines = nearest(features.vectors, features.vectors, 5)
    for i, hits in enumerate(gallery.search_many(features.vectors, k=5)):
        assert [hit.name for hit in hits] == [features.ids[row] for row in rows[i]]
        np.testing.assert_allclose([hit.similarity for hit in hits], cosines[i], atol=2e-7)


def test_every_form_of_a_query_finds_the_same(gallery, tmp_path):
    path = gallery.images_folder / "cat" / "003.png"
    (one,) = [hit for hit in gallery.images() if hit.path == path]
    copy = draw(tmp_path / "copy of 3.png", 3)
    vector = gallery.features().vectors[[*gallery.features().ids].index("cat/003.png")]
    expected = gallery.search(one.id, k=4)
    assert expected[0].id == one.id
    assert expected[0].similarity == pytest.approx(1, abs=1e-6)
    forms = [one, np.int64(one.id), path, str(path), "cat/003.png", copy, encoded(3), drawing(3)]
    forms += [Image.fromarray(drawing(3)), vector, 7 * vector, vector.astype(np.float64), vector[None]]
    for query in forms:
        found = gallery.search(query, k=4)
        assert [hit.id for hit in found] == [hit.id for hit in expected], repr(query)[:60]
        assert [h.similarity for h in found] == pytest.approx([h.similarity for h in expected], abs=1e-6)


def test_an_image_of_the_gallery_is_not_embedded_again(gallery, tmp_path, monkeypatch):
    backbone = gallery.backbone
    path = gallery.images_folder / "dog" / "007.png"
    before = backbone.embedded
    gallery.search(path)
    gallery.search(os.path.relpath(path))
    os.symlink(gallery.images_folder, tmp_path / "link")
    gallery.search(tmp_path / "link" / "dog" / "007.png")
    assert backbone.embedded == before
    gallery.search(draw(tmp_path / "other.png", 99))
    assert backbone.embedded == before + 1


def test_the_limits(gallery):
    query = drawing(8)
    everything = gallery.search(query, k=100)
    assert len(everything) == 13
    assert gallery.search(query, k=3) == everything[:3]
    assert gallery.search(query, k=100, min_similarity=everything[4].similarity) == everything[:5]
    assert gallery.search(query, k=100, label="dog") == [h for h in everything if h.label == "dog"]
    assert gallery.search(query, k=100, path="cat/*") == [h for h in everything if h.name.startswith("cat/")]
    assert gallery.search(query, k=100, path="cat/") == gallery.search(query, k=100, path="cat")
    assert [h.name for h in gallery.search(query, path="top.png")] == ["top.png"]
    assert gallery.search(query, k=100, path="*[02].png") == [h for h in everything if h.name[-5] in "02"]
    assert gallery.search(query, k=5, exact=True) == gallery.search(query, k=5, exact=False)


def test_a_hit_says_what_the_image_is(gallery):
    hit = gallery.search(drawing(12), k=1)[0]
    path = gallery.images_folder / "top.png"
    assert hit == Hit(hit.id, "top.png", path, hit.similarity, None, 48, 40)
    assert "top.png" in hit._repr_html_()
    assert gallery.image(hit.id).name == "top.png"


@pytest.mark.parametrize(
    ("query", "why"),
    [
        (999, "No image of the gallery has the id 999"),
        (np.ones(15, np.float32), r"shape \[1, 15\].*vectors of 16 numbers"),
        (np.full(16, np.nan, np.float32), "not finite"),
        (np.zeros(16, np.float32), "zero vector"),
        (np.ones((2, 3, 16), np.float32), "shape"),
        (np.eye(16, dtype=np.float32)[:2], "2 query vectors were given .* all of them to search_many"),
        (np.empty((0, 16), np.float32), "0 query vectors were given"),
        ("no/such.png", "no file no/such.png, and no image of that name"),
        (True, "Cannot search with bool"),
    ],
)
def test_what_cannot_be_searched_with_is_said(gallery, query, why):
    with pytest.raises(InvalidInput, match=why):
        gallery.search(query)


def test_a_query_that_is_no_image_says_so(gallery, tmp_path):
    (tmp_path / "notes.txt").write_text("words")
    for query in (tmp_path / "notes.txt", b"words", tmp_path):
        with pytest.raises(ImageError):
            gallery.search(query)


def test_nonsense_limits(gallery):
    with pytest.raises(InvalidInput, match="k is 0"):
        gallery.search(1, k=0)
    with pytest.raises(InvalidInput, match="batch_size is 0"):
        gallery.update(batch_size=0)


def test_an_empty_gallery_finds_nothing(tmp_path):
    with Gallery.create(tmp_path, backbone=NumpyBackbone()) as empty:
        assert empty.search(np.ones(16, np.float32)) == []
        assert empty.update().added == 0
        assert empty.search(drawing(1)) == []
        assert (len(empty), len(empty.features()), empty.images()) == (0, 0, [])


def test_thumbnails_are_small_upright_and_made_once(tmp_path):
    photo = Image.fromarray(drawing(1, (400, 800)))
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side
    photo.save(tmp_path / "side.jpg", exif=exif)
    draw(tmp_path / "tiny.png", 2, size=(10, 20))
    with filled(tmp_path) as gallery:
        ids = {hit.name: hit for hit in gallery.images()}
        assert (ids["side.jpg"].width, ids["side.jpg"].height) == (400, 800)
        picture = gallery.thumbnail(ids["side.jpg"], side=128)
        assert Image.open(io.BytesIO(picture)).size == (64, 128)
        assert Image.open(io.BytesIO(gallery.thumbnail(ids["tiny.png"].id))).size == (20, 10)
        (tmp_path / "side.jpg").unlink()
        assert gallery.thumbnail(ids["side.jpg"].id, side=128) == picture
        with pytest.raises(ImageError):
            gallery.thumbnail(ids["side.jpg"].id, side=64)
        with pytest.raises(InvalidInput, match="has the id 77"):
            gallery.thumbnail(77)
        assert Image.open(io.BytesIO(gallery.thumbnail(tmp_path / "tiny.png"))).size == (20, 10)


def test_a_thumbnail_of_an_edited_file_is_not_kept_for_what_it_was(tmp_path):
    draw(tmp_path / "a.png", 1)
    before, when = (tmp_path / "a.png").read_bytes(), (tmp_path / "a.png").stat().st_mtime_ns
    with filled(tmp_path) as gallery:
        (hit,) = gallery.images()
        draw(tmp_path / "a.png", 2)
        edited = gallery.thumbnail(hit)
        (tmp_path / "a.png").write_bytes(before)
        os.utime(tmp_path / "a.png", ns=(when, when))
        right = gallery.thumbnail(hit)
        assert right != edited
        assert right == gallery.thumbnail(tmp_path / "a.png"), "the picture as it is, made without any cache"
        assert len(list((gallery.folder / "thumbnails").rglob("*.webp"))) == 1


def test_a_thumbnail_of_an_edited_file_has_its_proportions_of_now(tmp_path):
    draw(tmp_path / "a.png", 1, size=(200, 300))
    with filled(tmp_path) as gallery:
        draw(tmp_path / "a.png", 1, size=(300, 100))
        assert Image.open(io.BytesIO(gallery.thumbnail(1, side=150))).size == (50, 150)


def test_a_thumbnail_shows_the_whole_picture(tmp_path):
    framed = np.full((200, 300, 3), 255, np.uint8)
    framed[10:-10, 10:-10] = 0
    Image.fromarray(framed).save(tmp_path / "framed.png")
    with filled(tmp_path) as gallery:
        small = np.asarray(Image.open(io.BytesIO(gallery.thumbnail(1, side=150))))
        assert small[50, [2, 147]].min() > 200, "its frame is there"
        assert small[50, [8, 141]].max() < 55, "and as wide as it was"


def test_a_thumbnail_that_was_cut_short_is_made_again(tmp_path):
    draw(tmp_path / "one.png", 1, size=(200, 300))
    with filled(tmp_path) as gallery:
        whole = gallery.thumbnail(1)
        (kept,) = gallery.folder.rglob("*.webp")
        for broken in (b"", whole[:-9]):
            kept.write_bytes(broken)
            assert gallery.thumbnail(1) == whole
