"""Three nodes of a real Ray cluster: the same rows as one machine, also when one of them dies."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

if find_spec("ray") is None:
    pytest.skip("clusters need ray (extra scale)", allow_module_level=True)

from featurelens.errors import InvalidInput
from featurelens.features import Features
from featurelens.scale import finder, plan, tend, update_on_ray, upkeep
from featurelens.scale.engines import load_ray
from featurelens.scale.finder import TableFinder
from featurelens.scale.index_on_ray import RayIndexer
from featurelens.search import Gallery
from fixtures.drawn import draw, draw_many, encoded
from fixtures.numpy_backbone import NumpyBackbone
from fixtures.s3_server import ENVIRONMENT, Store, s3_server
from oracles.nearest import nearest
from scale.conftest import put_folder
from scale.test_index import clustered

NODE = {"num_cpus": 1, "object_store_memory": 80 << 20}
TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def cluster() -> Iterator[tuple[Any, Store]]:
    """Three nodes of one core each on this machine, and the S3 that they see."""
    from featurelens.images.remote import _file_system

    with pytest.MonkeyPatch.context() as patch, s3_server() as (endpoint, store):
        for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": endpoint}.items():
            patch.setenv(name, value)
        _file_system.cache_clear()
        patch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]))
        patch.setattr(plan, "UNIT", 6)
        ray = load_ray()
        from ray.cluster_utils import Cluster

        made = Cluster(initialize_head=True, head_node_args=NODE)
        for _ in range(2):
            made.add_node(**NODE)
        yield made, store
        ray.shutdown()
        made.shutdown()
    _file_system.cache_clear()


def slow_backbone() -> NumpyBackbone:
    return NumpyBackbone(delay=0.02)


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
    assert [hit.id for hit in many.images()] == [hit.id for hit in alone.images()]
    assert abs(ours.vectors - theirs.vectors).max() < 1e-6


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_node_dies_in_mid_run_and_nothing_is_lost_or_doubled(tmp_path: Path, cluster) -> None:
    nodes, s3 = cluster
    photos = tmp_path / "photos"
    draw_many(photos / "dog", 60)
    (photos / "half.png").write_bytes(encoded(1)[:80])
    put_folder(s3, "pics1", photos)
    gallery = Gallery.create("s3://pics1/photos", backbone=NumpyBackbone(), at="s3://pics1/g.lance")
    node = sorted(nodes.list_all_nodes(), key=lambda one: one.node_id == nodes.head_node.node_id)[0]

    def kill_one(progress) -> None:
        nonlocal node
        if node is not None and progress.done >= 12:
            nodes.remove_node(node, allow_graceful=False)
            node = None

    report = update_on_ray(gallery, address=nodes.address, load=slow_backbone, on_progress=kill_one)
    assert node is None, "no node died: this proved nothing"
    assert (report.added, len(gallery), report.skipped) == (60, 60, 1)
    assert len({hit.name for hit in gallery.images()}) == 60
    nodes.add_node(**NODE)


DRIVER = """
import sys
from featurelens.scale import plan, update_on_ray
from featurelens.search import Gallery
from scale.test_ray import slow_backbone
plan.UNIT = 6
gallery = Gallery.open("s3://pics2/g.lance", backbone=slow_backbone())
update_on_ray(gallery, address=sys.argv[1], load=slow_backbone, on_progress=lambda p: print("done", p.done, flush=True))
"""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_driver_dies_and_the_store_is_busy_then_it_goes_on(tmp_path: Path, cluster) -> None:
    nodes, s3 = cluster
    photos = tmp_path / "photos"
    draw_many(photos, 150)
    (photos / "half.png").write_bytes(encoded(1)[:80])
    put_folder(s3, "pics2", photos)
    gallery = Gallery.create("s3://pics2/photos", backbone=NumpyBackbone(), at="s3://pics2/g.lance")
    command = [sys.executable, "-c", DRIVER, nodes.address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        for line in driver.stdout:
            if line.startswith("done") and int(line.split()[1]) >= 18:
                break
        driver.kill()
    kept = len(gallery)
    assert 0 < kept < 150, "the kill proved nothing"
    s3.every = 10
    update_on_ray(gallery, address=nodes.address, load=NumpyBackbone)
    s3.every = 0
    assert s3.refused > 0
    names = [hit.name for hit in gallery.images()]
    assert len(names) == len(set(names)) == 150
    assert [name for name, _ in gallery.skipped()] == ["half.png"]
    assert gallery.update().added == 0


def test_a_folder_of_this_machine_is_refused(tmp_path: Path) -> None:
    draw_many(tmp_path / "photos", 1)
    gallery = Gallery.create(tmp_path / "photos", backbone=NumpyBackbone())
    with pytest.raises(InvalidInput, match="Lance table"):
        update_on_ray(gallery)


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("where", ["s3://index/g.lance", "g.lance"])
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
