"""Who encodes on a cluster: one for each GPU where there are some; and the command that starts them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

if find_spec("ray") is None:
    pytest.skip("clusters need ray (extra scale)", allow_module_level=True)

from featurelens.cli.main import app
from featurelens.errors import GalleryError
from featurelens.features.progress import Progress
from featurelens.scale import on_ray, update_on_ray
from featurelens.scale.engines import connected
from featurelens.search import Gallery
from fixtures.drawn import draw_many, encoded
from fixtures.numpy_backbone import NumpyBackbone
from fixtures.s3_server import Store
from scale.conftest import put_folder
from scale.ray_cluster import NODE, Watched, slow_backbone, three_nodes
from scale.test_sources import shard

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[tuple[Any, Store]]:
    """Each node says that it has a GPU; Ray believes it."""
    with three_nodes(num_gpus=1) as made:
        yield made


def test_the_command_indexes_a_bucket_on_the_cluster(tmp_path: Path, cluster) -> None:
    nodes, s3 = cluster
    draw_many(tmp_path / "photos" / "cat", 20)
    (tmp_path / "photos" / "half.png").write_bytes(encoded(1)[:80])
    put_folder(s3, "bucket", tmp_path / "photos")
    command = ["index", "s3://bucket/photos", "--gallery", "s3://bucket/g.lance", "-b", "classic:colour"]
    for added in (20, 0):
        done = CliRunner().invoke(app, [*command, "--on", f"ray:{nodes.address}", "--json", "--show-skipped"])
        assert done.exit_code == 0, done.output
        told = json.loads(done.stdout)
        assert (told["images"], told["update"]["added"]) == (20, added)
        assert [one["name"] for one in told["skipped_files"]] == ["half.png"]
    with Gallery.open("s3://bucket/g.lance") as gallery:
        assert gallery.search(encoded(7), k=1)[0].name == "cat/007.png"


def test_shards_are_read_by_one_encoder_for_each_gpu(tmp_path: Path, cluster) -> None:
    nodes, s3 = cluster
    for i in range(6):
        shard(tmp_path / "shards" / f"{i}.tar", range(4 * i, 4 * i + 4), bad=i == 2)
    put_folder(s3, "tars", tmp_path / "shards")
    notes = tmp_path / "notes"
    notes.mkdir()
    gallery = Gallery.create("s3://tars/shards/*.tar", backbone=NumpyBackbone(), at="s3://tars/g.lance")
    report = update_on_ray(gallery, address=nodes.address, load=Watched.noting_in(notes))
    assert (report.added, report.skipped) == (24, 1)
    assert [name for name, _ in gallery.skipped()] == ["2.tar/bad.png"]
    assert [hit.name for hit in gallery.images()[:1]] == ["0.tar/00000.png"]
    gpus = [path.name.split()[1] for path in notes.iterdir()]
    assert gpus == ["0"] * 3, "each of its own process, with the GPU of its node"
    assert update_on_ray(gallery, address=nodes.address, load=NumpyBackbone).added == 0


def test_a_gpu_that_dies_with_its_node_is_waited_for_by_nobody(tmp_path: Path, cluster) -> None:
    nodes, _ = cluster
    draw_many(tmp_path / "photos", 90)
    gallery = Gallery.create(tmp_path / "photos", backbone=NumpyBackbone(), at=tmp_path / "g.lance")
    doomed = [node for node in nodes.list_all_nodes() if node.node_id != nodes.head_node.node_id][:1]

    def watch(progress: Progress) -> None:
        if progress.done >= 20 and doomed:
            nodes.remove_node(doomed.pop(), allow_graceful=False)

    report = update_on_ray(gallery, address=nodes.address, load=slow_backbone, on_progress=watch)
    nodes.add_node(**NODE, num_gpus=1)
    assert not doomed, "no node died: this proved nothing"
    assert (report.added, len(gallery)) == (90, 90)
    assert any("died" in note for note in report.notes)


def test_where_nobody_takes_up_the_work_the_command_says_so(
    tmp_path: Path, cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes, _ = cluster
    monkeypatch.setattr(on_ray, "_PATIENCE_S", 6.0)
    draw_many(tmp_path / "photos", 2)
    gallery = Gallery.create(tmp_path / "photos", backbone=NumpyBackbone(), at=tmp_path / "g.lance")
    with connected(nodes.address) as ray:
        taken = [ray.remote(Held).options(num_gpus=1).remote() for _ in range(3)]
        ray.get([one.here.remote() for one in taken])
        with pytest.raises(GalleryError, match="no machine took up the work"):
            update_on_ray(gallery, address=nodes.address, load=NumpyBackbone)


class Held:
    """Keeps a GPU."""

    def here(self) -> None: ...
