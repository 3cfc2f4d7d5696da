"""Three nodes of a real Ray cluster: the same rows as one machine, also when one of them dies."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

if find_spec("ray") is None:
    pytest.skip("clusters need ray (extra scale)", allow_module_level=True)

from featurelens.errors import InvalidInput
from featurelens.scale import plan, update_on_ray
from featurelens.scale.engines import load_ray
from featurelens.search import Gallery
from fixtures.drawn import draw_many, encoded
from fixtures.numpy_backbone import NumpyBackbone
from fixtures.s3_server import ENVIRONMENT, Store, s3_server
from scale.conftest import put_folder

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
