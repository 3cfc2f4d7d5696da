"""A cluster in trouble: a node dies, then the driver, and the store is busy all the while; nothing is lost or doubled."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest

if find_spec("ray") is None:
    pytest.skip("clusters need ray (extra scale)", allow_module_level=True)

from featurelens.scale import update_on_ray
from featurelens.search import Gallery
from fixtures.drawn import draw_many, encoded
from fixtures.numpy_backbone import NumpyBackbone
from scale.conftest import put_folder
from scale.ray_cluster import NODE, slow_backbone, three_nodes

SECONDS = float(
    os.environ.get("FEATURELENS_TROUBLE_S", "20")
)  # how long the store is busy, at least; the issue: 60
DRIVER = """
import sys
from featurelens.scale import plan, update_on_ray
from featurelens.search import Gallery
from scale.ray_cluster import slow_backbone
plan.UNIT = 6
gallery = Gallery.open("s3://pics/g.lance", backbone=slow_backbone())
update_on_ray(gallery, address=sys.argv[1], load=slow_backbone, on_progress=lambda p: print("done", p.done, flush=True))
"""


def rows_of(gallery: Gallery) -> Counter[str]:
    table = gallery.store.table.refresh()  # pyright: ignore[reportAttributeAccessIssue]
    rows = table.to_table(columns=["id", "path"], filter="status != 'counter'").to_pylist()
    assert len({row["id"] for row in rows}) == len(rows), "an id stands twice"
    return Counter(row["path"] for row in rows)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_node_and_the_driver_die_while_the_store_is_busy(tmp_path: Path) -> None:
    photos, images = tmp_path / "photos", int(8 * SECONDS)
    draw_many(photos / "dog", images)
    for name in ("half.png", "dog/torn.png"):
        (photos / name).write_bytes(encoded(1)[:80])
    with three_nodes() as (nodes, s3):
        put_folder(s3, "pics", photos)
        gallery = Gallery.create("s3://pics/photos", backbone=NumpyBackbone(), at="s3://pics/g.lance")
        s3.every, since = 10, time.monotonic()
        node = next(one for one in nodes.list_all_nodes() if one.node_id != nodes.head_node.node_id)
        command = [sys.executable, "-c", DRIVER, nodes.address]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as driver:
            assert driver.stdout is not None
            for line in driver.stdout:
                done = int(line.split()[1]) if line.startswith("done") else 0
                if done >= images // 8 and node is not None:
                    nodes.remove_node(node, allow_graceful=False)
                    node = None
                if done >= images // 3:
                    break
            driver.kill()
        assert node is None, "no node died: this proved nothing"
        kept = rows_of(gallery)
        assert 0 < len(kept) < images, "the kill proved nothing"
        assert max(kept.values()) == 1
        nodes.add_node(**NODE)
        update_on_ray(gallery, address=nodes.address, load=slow_backbone)
        while time.monotonic() - since < SECONDS:  # nothing more is new, and nothing becomes so
            assert gallery.update().added == 0
        s3.every = 0
        assert s3.refused > 50
        assert set(rows_of(gallery).values()) == {1}
        assert len(gallery) == images
        assert {hit.name for hit in gallery.images()} == {f"dog/{i:03d}.png" for i in range(images)}
        assert [name for name, _ in gallery.skipped()] == ["dog/torn.png", "half.png"]
        assert set(kept) <= set(rows_of(gallery)), "what was committed stays"
