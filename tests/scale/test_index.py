"""Above the limit a table is searched through IVF_RQ, and what came after the index is found as well."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from featurelens.features import Features
from featurelens.scale import finder, tend, upkeep
from featurelens.scale.filters import where
from featurelens.scale.finder import TableFinder
from featurelens.search import Gallery, feedback_vector, nothing_matches_below
from fixtures.drawn import draw, draw_many
from fixtures.numpy_backbone import NumpyBackbone
from oracles.nearest import nearest


def clustered(count: int, dim: int = 64, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(40, dim))
    rows = centres[rng.integers(0, 40, count)] + 0.5 * rng.normal(size=(count, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def large(tmp_path: Path) -> tuple[Gallery, np.ndarray]:
    """3,000 vectors in a table whose limit for exact search is 1,000; 40 came after the index."""
    draw(tmp_path / "photos" / "one.png", 1)
    gallery = Gallery.create(tmp_path / "photos", backbone=NumpyBackbone(dim=64), at=tmp_path / "g.lance")
    vectors = clustered(3040)
    names = tuple(f"{'ab'[i % 2]}/{i:05d}" for i in range(len(vectors)))
    labels = tuple("few" if i % 100 == 0 else "" for i in range(len(vectors)))
    gallery.add(Features(names[:3000], vectors[:3000], gallery.spec, labels[:3000]), optimize=False)
    store = gallery.store
    done = tend(store.table, always=True, exact_below=1000)  # pyright: ignore
    assert {"indexes", "vectors"} <= set(done)
    gallery.add(Features(names[3000:], vectors[3000:], gallery.spec), optimize=False)
    store.finder = TableFinder(store.table, 64, gallery.settings.epoch, exact_below=1000)  # pyright: ignore
    return gallery, vectors


def ids_of(hits: list) -> list[int]:
    return [hit.id for hit in hits]


def test_the_nearest_are_found(large) -> None:
    gallery, vectors = large
    queries = clustered(40, seed=1)
    found = gallery.search_many(queries, k=10)
    exact = [ids_of(hits) for hits in gallery.search_many(queries, k=10, exact=True)]
    expected = (nearest(vectors, queries, 10)[0] + 1).tolist()
    assert exact == expected, "exact search through the table is exact"
    shared = [len(set(ids_of(hits)) & set(best)) for hits, best in zip(found, expected, strict=True)]
    assert np.mean(shared) >= 9.5
    for hits, query in zip(found, queries, strict=True):
        for hit in hits:
            assert abs(hit.similarity - float(vectors[hit.id - 1] @ query)) < 1e-5, "similarities are exact"


def test_the_figure_would_show_a_bad_search(large, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sabotage: one cell looked at and nothing refined."""
    gallery, vectors = large
    queries = clustered(40, seed=1)
    monkeypatch.setattr(finder, "PROBES", 1)
    monkeypatch.setattr(finder, "REFINE", 1)
    expected = (nearest(vectors, queries, 10)[0] + 1).tolist()
    found = [ids_of(hits) for hits in gallery.search_many(queries, k=10)]
    assert np.mean([len(set(a) & set(b)) for a, b in zip(found, expected, strict=True)]) < 9


def test_what_came_after_the_index_is_found(large) -> None:
    gallery, vectors = large
    for i in (3000, 3039):
        hit = gallery.search(vectors[i], k=1)[0]
        assert (hit.id, round(hit.similarity, 5)) == (i + 1, 1)


def test_what_is_indexed_and_how(large) -> None:
    """Filters are answered from their indexes; vectors from one bit a number, and only from 100,000 on."""
    dataset = large[0].store.table.latest()
    kinds = {index.name: index.index_type for index in dataset.describe_indices()}
    scalar = {"id_idx": "BTree", "path_idx": "BTree", "label_idx": "Bitmap", "status_idx": "Bitmap"}
    assert kinds == {**scalar, "vector_idx": "IVF_RQ"}
    for path, label, used in (
        ("a", None, "path_idx"),
        (None, "few", "label_idx"),
        ("a/0*", "few", "path_idx"),
    ):
        plan = dataset.scanner(filter=where(path, label), columns=["id"]).explain_plan(True)
        assert "ScalarIndexQuery" in plan
        assert used in plan
        assert "refine_filter=--" in plan, "no row is looked at one by one"
    assert upkeep.EXACT_BELOW == 100_000


def test_filters_lose_nothing(large) -> None:
    gallery, vectors = large
    query = clustered(1, seed=2)
    few = gallery.search(query[0], k=50, label="few")
    assert ids_of(few) == [i + 1 for i in nearest(vectors, query, 3040)[0][0] if i % 100 == 0 and i < 3000]
    assert all(hit.name.startswith("a/") for hit in gallery.search(query[0], k=20, path="a"))


def test_the_rest_of_the_search_room_works_on_a_sample(large) -> None:
    gallery, _ = large
    line = nothing_matches_below(gallery)
    assert line is not None
    assert 0 < line < 1
    assert len(gallery.search(feedback_vector(gallery, [1, 3], less=[2]), k=3)) == 3
    assert len(gallery.images()) == 3040


def test_upkeep_keeps_the_tail_small(large) -> None:
    gallery, _ = large
    table = gallery.store.table
    assert tend(table, exact_below=1000) == [], "40 of 3,000: nothing to do yet"
    gallery.add(Features.from_raw([f"c/{i}" for i in range(200)], clustered(200, seed=3), gallery.spec))
    tend(table, exact_below=1000)
    assert upkeep.unindexed(table.refresh()) == 0
    assert upkeep.partitions(1_000_000) == 1000


def test_an_index_that_cannot_be_made_is_told_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "EXACT_BELOW", 30)
    draw_many(tmp_path / "photos", 40)
    gallery = Gallery.create(tmp_path / "photos", backbone=NumpyBackbone(), at=tmp_path / "g.lance")

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no machine has room for it")

    store = gallery.store
    options = {"batch_size": 8, "workers": 1, "labels": True, "retry_skipped": False, "on_progress": None}
    report = store.update(gallery.backbone, make_index=broken, **options)  # pyright: ignore
    (note,) = report.notes
    assert "index for vectors" in note
    assert "no machine has room" in note
    assert (report.added, len(gallery)) == (40, 40)
    assert gallery.update().notes == ()
    assert upkeep.unindexed(store.table.refresh()) == 0  # pyright: ignore


def test_a_filter_finds_its_rows_in_whatever_cells_they_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labels go with vectors: none of the cells near to a cat holds a dog."""
    monkeypatch.setattr(finder, "PROBES", 2)
    rng = np.random.default_rng(0)
    side = np.where(np.arange(2400) < 1800, 1, -1)[:, None] * np.ones(64)
    rows = side + 0.7 * rng.normal(size=side.shape)
    vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    labels = ("cat",) * 1800 + ("dog",) * 600
    draw(tmp_path / "photos" / "one.png", 1)
    gallery = Gallery.create(tmp_path / "photos", backbone=NumpyBackbone(dim=64), at=tmp_path / "g.lance")
    names = tuple(f"{i:04d}" for i in range(2400))
    gallery.add(Features(names, vectors, gallery.spec, labels), optimize=False)
    tend(gallery.store.table, always=True, exact_below=400)  # pyright: ignore
    gallery.store.finder = TableFinder(gallery.store.table, 64, gallery.settings.epoch, exact_below=400)  # pyright: ignore
    found = gallery.search(vectors[0], k=10, label="dog")
    best = 1800 + nearest(vectors[1800:], vectors[:1], 10)[0][0] + 1
    assert len(set(ids_of(found)) & set(best.tolist())) >= 6
    assert {hit.label for hit in found} == {"dog"}
    assert len(gallery.search(vectors[0], k=2000)) == 2000, "a large k is filled from more cells"
