"""Three nodes of a real Ray cluster: the same rows, hits and index as one machine."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

if find_spec("ray") is None:
    pytest.skip("clusters need ray (extra scale)", allow_module_level=True)

from featurelens.errors import GalleryError, InvalidInput
from featurelens.features import Features
from featurelens.scale import finder, tend, update_on_ray, upkeep
from featurelens.scale.finder import TableFinder
from featurelens.scale.index_on_ray import RayIndexer
from featurelens.search import Gallery
from fixtures.drawn import draw, draw_many, encoded
from fixtures.numpy_backbone import NumpyBackbone
from fixtures.s3_server import Store
from oracles.nearest import nearest
from scale.conftest import put_folder
from scale.ray_cluster import broken_backbone, three_nodes
from scale.test_index import clustered
from scale.test_same_hits import same


@pytest.fixture(scope="module")
def cluster() -> Iterator[tuple[Any, Store]]:
    with three_nodes() as made:
        yield made


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_three_nodes_give_the_rows_of_one_machine(tmp_path: Path, cluster) -> None:
    nodes, s3 = cluster
    photos = tmp_path / "photos"
    draw_many(photos / "cat", 40)
    (photos / "half.png").write_bytes(encoded(1)[:80])
    put_folder(s3, "pics0", photos)
    alone = Gallery.create(photos, backbone=NumpyBackbone(), at=tmp_path / "sqlite")
    alone.update()
    many = Gallery.create("s3://pics0/photos", backbone=NumpyBackbone(), at="s3://pics0/g.lance")
    told: list[tuple[int, int]] = []
    report = update_on_ray(
        many,
        address=nodes.address,
        load=NumpyBackbone,
        on_progress=lambda p: told.append((p.done, p.failed)),
    )
    assert (report.added, report.skipped) == (40, 1)
    assert told[-1] == (41, 1)
    assert many.skipped() == alone.skipped()
    ours, theirs = many.features(), alone.features()
    assert ours.ids == theirs.ids
    assert abs(ours.vectors - theirs.vectors).max() < 1e-6
    for query in (encoded(3), encoded(90), 17):
        for limits in ({}, {"label": "cat"}, {"path": "*2?.png"}):
            same(many.search(query, k=9, **limits), alone.search(query, k=9, **limits))


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_encoders_that_cannot_start_are_an_error_with_its_reason(tmp_path: Path, cluster) -> None:
    nodes, _ = cluster
    draw_many(tmp_path / "photos", 2)
    gallery = Gallery.create(tmp_path / "photos", backbone=NumpyBackbone(), at=tmp_path / "g.lance")
    with pytest.raises(GalleryError, match=r"could start or go on.*the weights are not here"):
        update_on_ray(gallery, address=nodes.address, load=broken_backbone)


def test_a_folder_of_this_machine_is_refused(tmp_path: Path) -> None:
    draw_many(tmp_path / "photos", 1)
    gallery = Gallery.create(tmp_path / "photos", backbone=NumpyBackbone())
    with pytest.raises(InvalidInput, match="Lance table"):
        update_on_ray(gallery)


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("where", [pytest.param("s3://index/g.lance", marks=pytest.mark.slow), "g.lance"])
def test_an_index_that_three_nodes_build_gives_the_hits_of_one_machine(
    tmp_path: Path, cluster, where: str
) -> None:
    nodes, _ = cluster
    place = where if where.startswith("s3:") else str(tmp_path / where)
    draw(tmp_path / "photos" / "one.png", 1)
    vectors, queries = clustered(3000), clustered(40, seed=1)
    found = []
    for make, address in ((RayIndexer(nodes.address), place), (None, str(tmp_path / "alone.lance"))):
        gallery = Gallery.create(tmp_path / "photos", backbone=NumpyBackbone(dim=64), at=address)
        for start in range(0, 3000, 750):  # each becomes a data file, for a machine of its own
            some = range(start, start + 750)
            part = Features(tuple(f"{i:05d}" for i in some), vectors[start : start + 750], gallery.spec)
            gallery.add(part, optimize=False)
        table = gallery.store.table  # pyright: ignore
        assert tend(table, exact_below=1000, first_index=False) == ["indexes"]
        assert "vectors" in tend(table, exact_below=1000, make_index=make)
        assert upkeep.unindexed(table.refresh()) == 0
        gallery.store.finder = TableFinder(table, 64, gallery.settings.epoch, exact_below=1000)  # pyright: ignore
        usual = [[hit.id for hit in hits] for hits in gallery.search_many(queries, k=10)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(finder, "REFINE", 300)  # all of them are compared, if the index has them
            found.append((usual, [[hit.id for hit in hits] for hits in gallery.search_many(queries, k=10)]))
        (index,) = [one for one in table.latest().describe_indices() if one.name == "vector_idx"]
        assert (len(index.segments), index.index_type) == (3 if make else 1, "IVF_RQ")
        gallery.add(Features(("late",), queries[:1], gallery.spec), optimize=False)
        tend(table, always=True, exact_below=1000, make_index=make)
        assert upkeep.unindexed(table.refresh()) == 0
        assert gallery.search(queries[0], k=1)[0].name == "late"
    exact = (nearest(vectors, queries, 10)[0] + 1).tolist()
    for usual, thorough in found:
        assert np.mean([len(set(a) & set(b)) for a, b in zip(usual, exact, strict=True)]) >= 9.6
        assert thorough == exact, "a row is missing from the index"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_index_is_built_by_the_cluster_at_the_end_of_indexing(
    tmp_path: Path, cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes, s3 = cluster
    monkeypatch.setattr(upkeep, "EXACT_BELOW", 30)
    built: list[int] = []

    def watched(self: RayIndexer, dataset: Any, column: str, kind: str, **shape: Any) -> None:
        built.append(len(dataset.get_fragments()))
        one(self, dataset, column, kind, **shape)

    one = RayIndexer.__call__
    monkeypatch.setattr(RayIndexer, "__call__", watched)
    draw_many(tmp_path / "photos", 60)
    put_folder(s3, "pics3", tmp_path / "photos")
    gallery = Gallery.create("s3://pics3/photos", backbone=NumpyBackbone(), at="s3://pics3/g.lance")
    update_on_ray(gallery, address=nodes.address, load=NumpyBackbone)
    assert built
    assert built[0] >= 2
    assert upkeep.unindexed(gallery.store.table.refresh()) == 0  # pyright: ignore


def test_a_table_of_one_file_is_indexed_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("featurelens.scale.index_on_ray.load_lance_ray", lambda: pytest.fail("not needed"))
    draw(tmp_path / "photos" / "one.png", 1)
    gallery = Gallery.create(tmp_path / "photos", backbone=NumpyBackbone(dim=64), at=tmp_path / "g.lance")
    gallery.add(Features(tuple(map(str, range(600))), clustered(600), gallery.spec), optimize=False)
    table = gallery.store.table  # pyright: ignore
    table.commit(lambda dataset: dataset.optimize.compact_files(target_rows_per_fragment=10_000))
    assert "vectors" in tend(table, exact_below=100, make_index=RayIndexer("nowhere"))
