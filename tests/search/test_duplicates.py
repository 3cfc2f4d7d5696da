"""find_duplicates: the same bytes and the same pictures, and nothing else."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict

import numpy as np
import pytest

from featurelens.errors import InvalidInput
from featurelens.features import Features
from featurelens.search import Gallery, copies, find_duplicates, likely
from featurelens.search import nearest as nearest_module
from featurelens.search import upkeep as upkeep_module
from featurelens.search.nearest import Nearest
from fixtures.copied import KINDS, changed, photo
from fixtures.galleries import content
from fixtures.numpy_backbone import NumpyBackbone
from oracles.likely import likely as likely_twin


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    """Twelve pictures; of 0 all changed copies, of 1 two files of the same bytes and a smaller one."""
    photos = tmp_path_factory.mktemp("photos")
    for seed in range(12):
        photo(seed).save(photos / f"{seed:02d}.png", compress_level=0)  # most bytes: the one to keep
    for kind in KINDS:
        changed(photo(0), kind).save(photos / f"00 {kind}.png")
    (photos / "copies").mkdir()
    for name in ("a", "b"):
        (photos / "copies" / f"{name}.png").write_bytes((photos / "01.png").read_bytes())
    changed(photo(1), "smaller").save(photos / "01 smaller.jpg", quality=90)
    (photos / "02 twin.png").write_bytes((photos / "02.png").read_bytes())
    with Gallery.create(photos, backbone="embedded") as opened:
        opened.update()
        yield opened


def names(groups) -> list[set[str]]:
    return [{hit.name for hit in group.members} for group in groups]


def test_copies_are_found_and_strangers_are_not(gallery):
    groups = find_duplicates(gallery)
    assert names(groups) == [
        {"00.png", *(f"00 {kind}.png" for kind in KINDS)},
        {"01.png", "copies/a.png", "copies/b.png", "01 smaller.jpg"},
        {"02.png", "02 twin.png"},
    ]
    assert [group.kind for group in groups] == ["near", "near", "exact"]


def test_no_two_copies_are_laid_upon_each_other_twice(gallery, monkeypatch):
    aligned, compared = copies.aligned, []

    def counted(one, other, threshold):
        found = aligned(one, other, threshold)
        if found is not None:
            compared.append((id(one), id(other)))
        return found

    monkeypatch.setattr(copies, "aligned", counted)
    find_duplicates(gallery)
    assert compared
    assert len(compared) == len(set(compared))


def test_every_copy_is_told_what_it_is(gallery):
    first, second, third = find_duplicates(gallery)
    told = dict(zip((hit.name for hit in first.members), first.how, strict=True))
    assert told["00 mirrored.png"].startswith("mirrored")
    assert told["00 crop.png"].startswith("cropped to 60%")
    assert told["00 smaller.png"] == "smaller"
    assert told["00 stretched.png"].startswith("stretched")
    told = dict(zip((hit.name for hit in second.members), second.how, strict=True))
    assert told == {
        "01.png": "keep",
        "copies/a.png": "same bytes",
        "copies/b.png": "same bytes",
        "01 smaller.jpg": "smaller",
    }
    assert third.how == ("keep", "same bytes")
    for group in (first, second, third):
        assert group.how[0] == "keep"
        sizes = [hit.width * hit.height for hit in group.members]
        assert sizes == sorted(sizes, reverse=True)
        similar = gallery.search(group.members[0].id, k=30)
        cosine = {hit.id: hit.similarity for hit in similar}
        assert [hit.similarity for hit in group.members] == pytest.approx(
            [cosine[hit.id] for hit in group.members], abs=1e-6
        )


def test_exact_groups_are_those_of_the_files_hashes(gallery):
    by_hash = defaultdict(set)
    for hit in gallery.images():
        by_hash[hashlib.sha256(hit.path.read_bytes()).digest()].add(hit.name)
    groups = find_duplicates(gallery, exact_only=True)
    assert sorted(map(sorted, names(groups))) == sorted(sorted(s) for s in by_hash.values() if len(s) > 1)
    assert {group.kind for group in groups} == {"exact"}


def test_nothing_is_changed_and_progress_is_told(gallery):
    before = content(gallery), {hit.path: os.stat(hit.path).st_mtime_ns for hit in gallery.images()}
    told = []
    find_duplicates(gallery, on_progress=told.append)
    assert (content(gallery), {hit.path: os.stat(hit.path).st_mtime_ns for hit in gallery.images()}) == before
    assert told[0].done == 0
    assert told[-1].done == told[-1].total == len(gallery) - 3


def test_an_image_that_goes_while_others_are_compared_ends_nothing(tmp_path):
    for seed in (0, 0, 0, 1, 1):
        photo(seed, 60, 80).save(tmp_path / f"{seed}-{len(os.listdir(tmp_path))}.png")
    with Gallery.create(tmp_path, backbone=NumpyBackbone()) as gallery:
        gallery.update()

        def drop(progress):
            if progress.done == progress.total and (gone := tmp_path / "0-1.png").exists():
                gone.unlink()
                gallery.update()

        groups = find_duplicates(gallery, on_progress=drop)
    assert sorted(map(sorted, names(groups))) == [["0-0.png", "0-2.png"], ["1-3.png", "1-4.png"]]
    assert all(len(group.how) == 2 and group.how[0] == "keep" for group in groups)


def test_a_file_edited_since_the_index_is_what_it_is_now(tmp_path):
    """Whoever deletes copies by this list would lose it, if its bytes counted as those it had."""
    for name in ("a", "b", "c"):
        photo(0).save(tmp_path / f"{name}.png")
    whole = photo(2, 320, 320)
    whole.save(tmp_path / "square.png")
    changed(photo(3), "smaller").save(tmp_path / "then another.png")
    with Gallery.create(tmp_path, backbone=NumpyBackbone()) as gallery:
        gallery.update()
        photo(1).save(tmp_path / "b.png")
        whole.crop((0, 60, 320, 220)).save(tmp_path / "then another.png")
        for only in (True, False):
            exact, *near = find_duplicates(gallery, exact_only=only)
            assert ({hit.name for hit in exact.members}, exact.kind) == ({"a.png", "c.png"}, "exact")
        ((how,),) = [[how for hit, how in zip(g.members, g.how, strict=True) if how != "keep"] for g in near]
        assert "cropped to 50%" in how
        for name in ("a", "c"):
            photo(ord(name)).save(tmp_path / f"{name}.png")
        assert find_duplicates(gallery, exact_only=True) == []


def test_a_file_deleted_since_the_index_is_no_twin(tmp_path):
    """Whoever deletes the other by this list would lose the last."""
    for name in ("a", "b", "c"):
        photo(0).save(tmp_path / f"{name}.png")
    with Gallery.create(tmp_path, backbone=NumpyBackbone()) as gallery:
        gallery.update()
        (tmp_path / "b.png").unlink()
        for only in (True, False):
            assert names(find_duplicates(gallery, exact_only=only)) == [{"a.png", "c.png"}]
        (tmp_path / "a.png").unlink()
        for only in (True, False):
            assert find_duplicates(gallery, exact_only=only) == []


def test_filters_restrict_what_is_compared(gallery):
    assert names(find_duplicates(gallery, path="copies/*")) == [{"copies/a.png", "copies/b.png"}]
    assert find_duplicates(gallery, path="0[3-9].png") == []


def test_many_files_of_the_same_bytes_do_not_hide_a_near_copy(tmp_path):
    for i in range(40):
        photo(0, 60, 80).save(tmp_path / f"{i:02d}.png")
    changed(photo(0, 60, 80), "jpeg").save(tmp_path / "near.png")
    photo(1, 60, 80).save(tmp_path / "other.png")
    with Gallery.create(tmp_path, backbone=NumpyBackbone()) as gallery:
        gallery.update()
        (group,) = find_duplicates(gallery, neighbours=1)
    assert len(group.members) == 41
    assert "near.png" in {hit.name for hit in group.members}


def test_files_that_cannot_be_read_and_given_vectors_are_compared_by_vector(tmp_path):
    backbone = NumpyBackbone()
    for seed in range(3):
        photo(seed, 60, 80).save(tmp_path / f"{seed}.png")
    with Gallery.create(tmp_path, backbone=backbone) as gallery:
        gallery.update()
        held = gallery.features()
        rows = np.concatenate([held.vectors[:1], held.vectors[1:2] + np.float32(0.2)])
        gallery.add(Features.from_raw(["given-0", "given-1"], rows, backbone.spec))
        (tmp_path / "0.png").write_bytes(b"broken since")
        (group,) = find_duplicates(gallery)
    assert {hit.name for hit in group.members} == {"0.png", "given-0"}
    assert group.how == ("keep", "same by its vector")


@pytest.mark.parametrize("graph", [False, True])
def test_the_candidates_are_those_of_comparing_all_with_all(tmp_path, monkeypatch, graph):
    if graph:
        for module in (nearest_module, upkeep_module):
            monkeypatch.setattr(module, "GRAPH_FROM", 500)
    rows = np.random.default_rng(0).normal(size=(700, 16)).astype(np.float32)
    rows[350:360] = rows[:10] + 0.01
    backbone = NumpyBackbone(dim=16)
    with Gallery.create(tmp_path, backbone=backbone) as gallery:
        gallery.add(Features.from_raw([f"{i:03d}" for i in range(700)], rows, backbone.spec))
        ids = [hit.id for hit in gallery.images()]
        snapshot = gallery.finder.snapshot()
        found = list(likely.likely_pairs(gallery.finder.nearest, snapshot, set(ids), neighbours=5, least=0.3))
        expected = likely_twin(gallery.features().vectors, ids, 5, 0.3)
    pairs = [(a, b) for _, some in found for a, b, _ in some]
    assert sum(done for done, _ in found) == 700
    assert len(pairs) == len(set(pairs)), "a pair came twice"
    missing = expected - set(pairs)
    assert len(missing) <= (0.02 * len(expected) if graph else 0)
    assert set(pairs) <= expected or graph
    assert isinstance(gallery.finder.nearest, Nearest)


def test_of_few_images_among_many_no_more_than_their_nearest_are_held(tmp_path, monkeypatch):
    """A small folder of a large gallery: its images' neighbours in it stand far behind others."""
    rows = np.random.default_rng(0).normal(size=(900, 16)).astype(np.float32)
    backbone, asked, real = NumpyBackbone(dim=16), [], Nearest.search

    def search(self, snapshot, queries, k, **how):
        asked.append(k)
        return real(self, snapshot, queries, k, **how)

    monkeypatch.setattr(Nearest, "search", search)
    with Gallery.create(tmp_path, backbone=backbone) as gallery:
        gallery.add(Features.from_raw([f"{i:03d}" for i in range(900)], rows, backbone.spec))
        few, vectors = list(range(7, 900, 60)), gallery.features().vectors
        snapshot, nearest = gallery.finder.snapshot(), gallery.finder.nearest
        found = list(likely.likely_pairs(nearest, snapshot, set(few), neighbours=5, least=0.0))
    pairs = {(a, b) for _, some in found for a, b, _ in some}
    assert pairs == likely_twin(vectors[[one - 1 for one in few]], few, 5, 0.0)
    assert max(asked) < 60


def test_sabotage_without_a_look_at_the_pictures_similar_photos_would_be_duplicates(gallery, monkeypatch):
    monkeypatch.setattr(copies.Comparison, "same", lambda self, a, b, cosine: True)
    assert len(find_duplicates(gallery)) < 3


def test_nonsense_is_refused(gallery):
    for wrong in ({"threshold": 0.0}, {"threshold": 1.5}, {"neighbours": 0}):
        with pytest.raises(InvalidInput, match="give a threshold between 0 and 1"):
            find_duplicates(gallery, **wrong)
