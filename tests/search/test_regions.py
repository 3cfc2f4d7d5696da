"""search_region: what is inside a box is found again in other pictures, and where."""

from __future__ import annotations

import dataclasses
import itertools
import shutil
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from featurelens.errors import BackboneError, InvalidInput
from featurelens.images.fit import Fit
from featurelens.images.resize import resize
from featurelens.search import Gallery, regions, search_region, tokens
from featurelens.search.windows import scaling, window_scores
from fixtures.copied import photo
from fixtures.numpy_backbone import NumpyBackbone
from oracles.window import best_place, overlap

THING = (0.3, 0.25, 0.7, 0.75)  # where the thing lies in the query
PLACES = {"planted-left.png": (20, 60, 140, 180), "planted-right.png": (190, 30, 310, 150)}


@pytest.fixture(scope="module")
def thing():
    return photo(100, 160, 160)


@pytest.fixture(scope="module")
def gallery(tmp_path_factory, thing):
    """Twenty pictures, two of which also hold the thing."""
    photos = tmp_path_factory.mktemp("photos")
    for seed in range(18):
        photo(seed).save(photos / f"{seed:02d}.png")
    for i, (name, (left, top, right, bottom)) in enumerate(PLACES.items()):
        whole = photo(20 + i)
        whole.paste(thing.resize((right - left, bottom - top)), (left, top))
        whole.save(photos / name)
    with Gallery.create(photos, backbone="embedded") as opened:
        opened.update()
        yield opened


@pytest.fixture(scope="module")
def query(thing):
    whole = photo(50, 320, 400)
    whole.paste(thing, (120, 80))
    return np.asarray(whole)


def test_the_pictures_that_hold_the_thing_come_first_with_the_right_box(gallery, query):
    found = search_region(gallery, query, THING, k=5)
    assert {one.hit.name for one in found[:2]} == set(PLACES)
    for one in found[:2]:
        left, top, right, bottom = PLACES[one.hit.name]
        assert overlap(one.box, (left / 320, top / 240, right / 320, bottom / 240)) > 0.5
    similarities = [one.hit.similarity for one in found]
    assert similarities == sorted(similarities, reverse=True)
    assert similarities[1] > similarities[2] + 0.05


def test_the_whole_query_finds_other_pictures_than_its_part(gallery, query):
    assert {hit.name for hit in gallery.search(query, k=2)} != set(PLACES)


def test_the_query_may_be_an_image_of_the_gallery(gallery):
    (one,) = [hit for hit in gallery.images() if hit.name == "planted-left.png"]
    box = (20 / 320, 60 / 240, 140 / 320, 180 / 240)
    for form in (one, one.id, one.path, str(one.path), "planted-left.png"):
        first, *others = search_region(gallery, form, box, k=4)
        assert first.hit.id == one.id
        assert first.hit.similarity > 0.99, "a part is found where it was taken from"
        assert overlap(first.box, box) > 0.5
        assert "planted-right.png" in {other.hit.name for other in others}


def test_the_maps_are_kept_and_can_be_deleted(gallery, query, monkeypatch):
    kept = gallery.folder / tokens.FOLDER
    shutil.rmtree(kept, ignore_errors=True)
    fresh = search_region(gallery, query, THING, k=20)
    files = sorted(kept.rglob("*.npz"))
    assert len(files) == 20
    with monkeypatch.context() as patched:
        patched.setattr(tokens.TokenMaps, "_decoded", None)  # nothing is decoded again
        assert search_region(gallery, query, THING, k=20) == fresh
    files[0].write_bytes(b"torn")
    files[1].unlink()
    assert search_region(gallery, query, THING, k=20) == fresh


def test_maps_of_an_edited_file_are_not_kept_for_what_it_was(tmp_path, query):
    photo(1, 60, 80).save(tmp_path / "a.png")
    with Gallery.create(tmp_path, backbone="embedded") as gallery:
        gallery.update()
        photo(2, 60, 80).save(tmp_path / "a.png")
        edited = search_region(gallery, query, THING)
        assert not list((gallery.folder / tokens.FOLDER).rglob("*.npz"))
        photo(1, 60, 80).save(tmp_path / "a.png")  # the same bytes, and another time: known after the update
        gallery.update()
        right = search_region(gallery, query, THING)
        assert len(list((gallery.folder / tokens.FOLDER).rglob("*.npz"))) == 1
    assert right != edited


def test_no_more_maps_are_kept_than_allowed(gallery, query, monkeypatch):
    kept = gallery.folder / tokens.FOLDER
    shutil.rmtree(kept, ignore_errors=True)
    monkeypatch.setattr(tokens, "KEPT", 1)
    monkeypatch.setattr(tokens.TokenMaps, "_place", lambda self, digest: kept / "00" / f"{digest.hex()}.npz")
    search_region(gallery, query, THING)
    assert len(list(kept.rglob("*.npz"))) <= 2  # threads that write at once may each keep one
    shutil.rmtree(kept)


def test_limits(gallery, query):
    found = search_region(gallery, query, THING, k=20)
    assert search_region(gallery, query, THING, k=3) == found[:3]
    least = found[4].hit.similarity
    assert search_region(gallery, query, THING, k=20, min_similarity=least) == found[:5]
    only = search_region(gallery, query, THING, path="planted-*")
    assert {one.hit.name for one in only} == set(PLACES)


def test_a_file_that_is_gone_is_left_out(tmp_path, query):
    for seed in range(3):
        photo(seed, 60, 80).save(tmp_path / f"{seed}.png")
    with Gallery.create(tmp_path, backbone="embedded") as gallery:
        gallery.update()
        (tmp_path / "1.png").unlink()
        assert {one.hit.name for one in search_region(gallery, query, THING)} == {"0.png", "2.png"}


def square_first(pixels, box, fit):
    """The slow twin: the whole box, its rim repeated, before it is made small."""
    rows, cols = pixels.shape[:2]
    row = np.arange(round(box[1] * rows), round(box[3] * rows))
    col = np.arange(round(box[0] * cols), round(box[2] * cols))
    whole = pixels[np.clip(row, 0, rows - 1)[:, None], np.clip(col, 0, cols - 1)[None]]
    return resize(whole, dataclasses.replace(fit, mode="squash", crop_pct=1.0))


@pytest.mark.parametrize("shape", [(120, 160), (160, 120), (40, 400), (350, 30)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos"])
def test_a_part_is_as_if_its_rim_had_been_repeated_first(shape, interpolation):
    pixels, fit = np.asarray(photo(3, *shape)), Fit(64, 48, interpolation=interpolation)
    rows, cols = shape
    for side, middle in itertools.product((0.1, 0.5, 1, 4), (0.1, 0.5, 0.9)):
        x, y = side * max(shape) / 2 / cols, side * max(shape) / 2 / rows
        box = (middle - x, middle - y, middle + x, middle + y)
        apart = np.abs(tokens.fitted(pixels, box, fit).astype(int) - square_first(pixels, box, fit))
        assert apart.max() <= 12, (side, middle)  # of high pictures the rows come first, and round first
        assert apart.mean() < 0.3, (side, middle)


def test_a_long_picture_costs_no_more_than_it_holds(gallery):
    """Round a picture of 1 : 30, the square four times as long has 480 times its pixels, more than the limit."""
    long = np.asarray(photo(0, 3000, 100))
    search_region(gallery, long, (0, 0, 1, 1))  # what is loaded once is loaded
    tracemalloc.start()
    try:
        assert search_region(gallery, long, (0, 0, 1, 1), k=3)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 30 * long.nbytes, f"{peak:,} bytes"


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (4, 4), (8, 8)])
def test_the_best_window_is_that_of_looking_everywhere(shape):
    random = np.random.default_rng(0)
    maps = random.normal(size=(1, 12, 8, 8)).astype(np.float32)
    units = scaling([maps]).units(maps)[0]
    template = random.normal(size=(*shape, 12)).astype(np.float32)
    template /= np.linalg.norm(template, axis=-1, keepdims=True)
    scores = window_scores(units, template)
    score, top, left = best_place(units, template)
    assert scores.max() == pytest.approx(score, abs=1e-6)
    assert divmod(int(scores.argmax()), scores.shape[1]) == (top, left)


def test_scaling_is_mean_and_spread_over_all_tokens():
    random = np.random.default_rng(1)
    maps = [random.normal(3, 2, (n, 5, 4, 4)).astype(np.float32) for n in (1, 2)]
    tokens_of_all = np.concatenate([m.transpose(0, 2, 3, 1).reshape(-1, 5) for m in maps])
    found = scaling(maps)
    np.testing.assert_allclose(found.mean, tokens_of_all.mean(0), rtol=1e-5)
    np.testing.assert_allclose(found.spread, tokens_of_all.std(0), rtol=1e-5)


def test_sabotage_without_the_windows_the_box_is_wrong(gallery, query, monkeypatch):
    def anywhere(tokens_of, template):
        return np.ones((9 - template.shape[0], 9 - template.shape[1]), np.float32)

    monkeypatch.setattr(regions, "window_scores", anywhere)
    found = {one.hit.name: one.box for one in search_region(gallery, query, THING, k=20)}
    left, top, right, bottom = PLACES["planted-right.png"]
    assert overlap(found["planted-right.png"], (left / 320, top / 240, right / 320, bottom / 240)) < 0.5


@pytest.mark.parametrize(
    "box", [(0.5, 0, 0.5, 1), (0.6, 0, 0.5, 1), (-0.1, 0, 1, 1), (0, 0, 1, 1.2), (0, 0, 200, 100)]
)
def test_a_box_that_is_none_is_refused(gallery, query, box):
    with pytest.raises(InvalidInput, match="as fractions of width and height"):
        search_region(gallery, query, tuple(map(float, box)))


def test_a_vector_has_no_regions_and_some_backbones_have_no_map(gallery, tmp_path):
    with pytest.raises(InvalidInput, match="A vector has no regions"):
        search_region(gallery, np.ones(512, np.float32), THING)
    Image.new("RGB", (64, 64), "red").save(tmp_path / "red.png")
    blind = NumpyBackbone()
    blind.spec = dataclasses.replace(blind.spec, map_channels=0)
    with (
        Gallery.create(tmp_path, backbone=blind) as flat,
        pytest.raises(BackboneError, match="gives no map"),
    ):
        search_region(flat, tmp_path / "red.png", THING)
