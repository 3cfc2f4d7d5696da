"""Exact search against an argsort twin; HNSW with re-scoring against exact search."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurelens.backbone.protocol import Spec
from featurelens.features import Features
from featurelens.search import Gallery, hnsw
from featurelens.search import nearest as nearest_module
from featurelens.search import upkeep as upkeep_module
from featurelens.search.cache import State, entry_of
from featurelens.search.exact import exact_nearest
from featurelens.search.vectors import Block, Snapshot
from fixtures.numpy_backbone import NumpyBackbone
from oracles.nearest import nearest


def clustered(count: int, dim: int, *, clusters: int, seed: int = 0, spread: float = 0.3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(clusters, dim))
    rows = centres[rng.integers(0, clusters, count)] + spread * rng.normal(size=(count, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def snapshot_of(vectors: np.ndarray, ids: np.ndarray, cut: int, dead: np.ndarray) -> Snapshot:
    blocks = [
        Block(ids[part], np.ascontiguousarray(vectors[part]), dead[part] if dead[part].any() else None)
        for part in (slice(0, cut), slice(cut, None))
        if len(ids[part])
    ]
    return Snapshot(State("epoch", int(ids[-1]), 0), tuple(blocks))


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 300),
    k=st.integers(1, 20),
    seed=st.integers(0, 1000),
    dead_share=st.sampled_from([0.0, 0.2, 0.9]),
    allowed_share=st.sampled_from([None, 0.05, 0.8]),
)
def test_exact_search_equals_argsort(count, k, seed, dead_share, allowed_share):
    rng = np.random.default_rng(seed)
    vectors = clustered(count, 8, clusters=5, seed=seed)
    vectors[rng.integers(0, count, count // 5)] = vectors[0]  # twins
    ids = np.sort(rng.choice(10 * count, count, replace=False)) + 1
    dead = rng.random(count) < dead_share
    allowed = None if allowed_share is None else ids[rng.random(count) < allowed_share]
    keep = ~dead if allowed is None else ~dead & np.isin(ids, allowed)
    queries = np.concatenate([clustered(3, 8, clusters=5, seed=seed + 1), vectors[:1]])
    snapshot = snapshot_of(vectors, ids, int(rng.integers(0, count + 1)), dead)

    found, cosines = exact_nearest(snapshot, queries, k, allowed=allowed)

    rows, expected = nearest(vectors[keep], queries, k)
    for query in range(len(queries)):
        np.testing.assert_allclose(cosines[query], expected[query], atol=3e-7)
        apart = np.abs(expected[query] - expected[query][-1:]) > 1e-6  # what is tied with the last may differ
        np.testing.assert_array_equal(found[query][apart], ids[keep][rows[query]][apart])


def test_the_twin_can_fail():
    vectors = clustered(100, 8, clusters=5)
    ids = np.arange(1, 101)
    snapshot = snapshot_of(vectors, ids, 50, np.zeros(100, bool))
    found, _ = exact_nearest(snapshot, vectors[:1], 5)
    rows, _ = nearest(-vectors, vectors[:1], 5)
    assert (found[0] != ids[rows[0]]).any()


def test_equal_vectors_come_by_id():
    vectors = np.tile(clustered(1, 8, clusters=1), (9, 1))
    snapshot = snapshot_of(vectors, np.arange(1, 10), 4, np.zeros(9, bool))
    found, cosines = exact_nearest(snapshot, vectors[:1], 9)
    np.testing.assert_array_equal(found[0], np.arange(1, 10))
    assert len(set(cosines[0].tolist())) == 1


@pytest.fixture
def small_graphs(monkeypatch):
    """HNSW from 1,500 images on, so that the tests stay short."""
    for module in (nearest_module, upkeep_module):
        monkeypatch.setattr(module, "GRAPH_FROM", 1500)
    monkeypatch.setattr(upkeep_module, "CACHE_FROM", 1000)


def given_features(vectors: np.ndarray, *, first: int = 0) -> Features:
    spec = NumpyBackbone(dim=vectors.shape[1]).spec
    return Features(tuple(f"{i:06d}" for i in range(first, first + len(vectors))), vectors, spec)


def recall(gallery: Gallery, vectors: np.ndarray, queries: np.ndarray, *, k: int = 10) -> float:
    rows, _ = nearest(vectors, queries, k)
    hits = gallery.search_many(queries, k=k)
    shared = [
        len({int(h.name) for h in some} & set(row.tolist())) for some, row in zip(hits, rows, strict=True)
    ]
    return sum(shared) / (k * len(queries))


def test_a_wide_search_neither_narrows_nor_widens_the_others_for_long():
    """Threads share one index, and it has one setting."""

    class Index:
        expansion_search = hnsw.EXPANSION_SEARCH

        def search(self, query, count, threads):
            begun = self.expansion_search
            if count == 500:
                graph.candidates(np.ones(4, np.float32), 10)
            assert self.expansion_search == begun
            seen.append((count, begun))
            return SimpleNamespace(keys=np.arange(count))

    seen, graph = [], hnsw.Graph(Index(), State("epoch", 0, 0), 1000)
    for count in (500, 10):
        assert len(graph.candidates(np.ones(4, np.float32), count)) == count
    assert seen == [(10, 1000), (500, 1000), (10, hnsw.EXPANSION_SEARCH)]


def test_hnsw_recall_on_clustered_vectors(tmp_path, small_graphs):
    vectors = clustered(6000, 32, clusters=60)
    queries = clustered(100, 32, clusters=60, seed=0, spread=0.35)
    with Gallery.create(tmp_path, backbone=NumpyBackbone(dim=32)) as gallery:
        gallery.add(given_features(vectors))
        with gallery.finder.reading() as connection:
            entry = entry_of(connection, gallery.folder, hnsw.NAME, dim=32, kind=hnsw.KIND)
        assert entry is not None
        assert hnsw.open_graph(gallery.folder, entry) is not None
        assert recall(gallery, vectors, queries) >= 0.99


def test_cosines_through_the_graph_are_exact(tmp_path, small_graphs):
    vectors = clustered(2000, 16, clusters=20)
    with Gallery.create(tmp_path, backbone=NumpyBackbone(dim=16)) as gallery:
        gallery.add(given_features(vectors))
        for query in vectors[:20]:
            near, exact = gallery.search(query, k=5), gallery.search(query, k=5, exact=True)
            assert [h.similarity for h in near] == [h.similarity for h in exact]


def test_what_came_and_went_after_the_graph_is_seen(tmp_path, small_graphs):
    vectors = clustered(2400, 16, clusters=20)
    with Gallery.create(tmp_path, backbone=NumpyBackbone(dim=16)) as gallery:
        gallery.add(given_features(vectors[:2300]))
        graph_file = set(gallery.folder.glob("hnsw-*"))
        gallery.add(given_features(vectors[2300:], first=2300))
        assert set(gallery.folder.glob("hnsw-*")) == graph_file, "100 of 2,300 must not rewrite the graph"
        assert recall(gallery, vectors, vectors[2200:2400:5]) >= 0.99
        assert gallery.search(vectors[2350], k=1)[0].name == "002350"
        replaced = clustered(10, 16, clusters=20, seed=9)
        gallery.add(given_features(replaced))  # in place of the first ten
        now = np.concatenate([replaced, vectors[10:]])
        assert recall(gallery, now, np.concatenate([vectors[:10], replaced])) >= 0.99
        assert len(gallery) == 2400


def test_given_vectors_take_the_place_of_those_of_the_same_names_wherever_they_stand(tmp_path):
    old, new = clustered(230, 16, clusters=20), clustered(450, 16, clusters=20, seed=1)
    names = tuple(
        f"{i if i % 3 else 1000 + i}" for i in range(450)
    )  # two thirds of the first 230 are there already
    with Gallery.create(tmp_path, backbone=NumpyBackbone(dim=16)) as gallery:
        gallery.add(Features(tuple(map(str, range(230))), old, gallery.spec))
        gallery.add(Features(names, new, gallery.spec))
        now = gallery.features()
    expected = {str(i): row for i, row in enumerate(old)} | dict(zip(names, new, strict=True))
    assert len(now.ids) == len(expected) == len(gallery_ids := set(now.ids))
    assert gallery_ids == set(expected)
    assert all(np.array_equal(row, expected[name]) for name, row in zip(now.ids, now.vectors, strict=True))


def test_when_most_of_the_graph_is_dead_search_still_finds_k(tmp_path, small_graphs, monkeypatch):
    # two threads build another graph every time, some of them worse
    monkeypatch.setattr(hnsw, "_ALONE", 10_000)
    vectors = clustered(4000, 16, clusters=4)
    with Gallery.create(tmp_path, backbone=NumpyBackbone(dim=16)) as gallery:
        gallery.add(given_features(vectors))
        monkeypatch.setattr(upkeep_module, "STALE", 10.0)
        gallery.add(given_features(-vectors[:2400]))
        now = np.concatenate([-vectors[:2400], vectors[2400:]])
        assert recall(gallery, now, vectors[:200]) >= 0.99
        assert gallery.optimize() == ["vectors", "hnsw"]
    with Gallery.open(tmp_path) as gallery:
        assert recall(gallery, now, vectors[:200]) >= 0.99
        assert gallery.optimize() == []


def test_a_filtered_search_is_exact(tmp_path, small_graphs):
    vectors = clustered(2000, 16, clusters=20)
    labels = tuple("even" if i % 2 == 0 else "odd" for i in range(2000))
    names = tuple(f"{'low' if i < 100 else 'high'}/{i}" for i in range(2000))
    spec: Spec = NumpyBackbone(dim=16).spec
    with Gallery.create(tmp_path, backbone=NumpyBackbone(dim=16)) as gallery:
        gallery.add(Features(names, vectors, spec, labels))
        for options, keep in (
            ({"label": "odd"}, np.arange(1, 2000, 2)),
            ({"path": "low"}, np.arange(100)),
            ({"path": "low/*", "label": "even"}, np.arange(0, 100, 2)),
            ({"path": "*/1?"}, np.arange(10, 20)),
        ):
            rows, _ = nearest(vectors[keep], vectors[5:6], 10)
            hits = gallery.search(vectors[5], k=10, **options)
            assert [h.name for h in hits] == [names[keep[r]] for r in rows[0]]
        assert gallery.search(vectors[5], path="nowhere/*") == []
        assert gallery.search(vectors[5], label="neither") == []
