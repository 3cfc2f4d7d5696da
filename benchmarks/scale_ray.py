"""CPU time per image of three Ray nodes of one core each, beside one process of one core; both into a Lance table.

Counted is the CPU time of every process that takes part (Ray's own daemons too), from the first unit of work that is
done to the last, on one machine: that is what the cluster costs, whatever number of cores this machine has.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
import psutil
from _harness import report, table
from PIL import Image

from featurelens.scale import plan, update_on_ray
from featurelens.scale.engines import load_ray
from featurelens.search import Gallery

TARGET = 1.15


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--images", type=int, default=3000)
    options.add_argument("--rounds", type=int, default=2)
    options.add_argument("--unit", type=int, default=128, help="images of one unit of work")
    given = options.parse_args()
    plan.UNIT = given.unit
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["FEATURELENS_CACHE"] = f"{scratch}/cache"
        photos = Path(scratch) / "photos"
        draw(photos, given.images)
        ray = load_ray()
        from ray.cluster_utils import Cluster

        node = {"num_cpus": 1, "object_store_memory": 100 << 20}
        one, three = [], []
        for turn in range(given.rounds):
            one.append(alone(photos, Path(scratch) / f"one{turn}.lance"))
            cluster = Cluster(initialize_head=True, head_node_args=node)
            for _ in range(2):
                cluster.add_node(**node)
            three.append(many(photos, Path(scratch) / f"three{turn}.lance", cluster.address))
            ray.shutdown()
            cluster.shutdown()
    single, spread = float(np.median(one)), float(np.median(three))
    rows = [["one process", 1000 * single, 1.0], ["three Ray nodes", 1000 * spread, spread / single]]
    print(table([f"{given.images:,} JPEGs of 640 x 480, embedded", "CPU ms/image", "of one"], rows))
    detail = {"cpu_seconds_per_image": {"one": one, "three": three}}
    name = "CPU time per image of three Ray nodes over one process"
    report(name, round(spread / single, 3), f"<= {TARGET}", spread / single <= TARGET, detail)


def draw(folder: Path, count: int) -> None:
    """Smooth random pictures as JPEGs."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(count):
        small = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        picture = Image.fromarray(small).resize((640, 480), Image.Resampling.BICUBIC)
        picture.save(folder / f"{i:05d}.jpg", quality=90)


class Meter:
    """CPU seconds of this process and all that it started, per image, from the first report of work on."""

    def __init__(self) -> None:
        self.first: tuple[int, float] | None = None
        self.last: tuple[int, float] = (0, 0.0)

    def __call__(self, progress) -> None:
        if progress.done:
            self.last = (progress.done, cpu())
            self.first = self.first or self.last

    @property
    def per_image(self) -> float:
        assert self.first is not None
        return (self.last[1] - self.first[1]) / (self.last[0] - self.first[0])


def cpu() -> float:
    """CPU seconds of this process and of everything below it that runs."""
    total = 0.0
    me = psutil.Process()
    for process in [me, *me.children(recursive=True)]:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def alone(photos: Path, at: Path) -> float:
    from featurelens.backbone import load_backbone

    meter = Meter()
    with Gallery.create(photos, backbone=load_backbone("embedded", threads=1), at=at) as gallery:
        gallery.update(workers=1, on_progress=meter)
        assert len(gallery) > 0
    return meter.per_image


def many(photos: Path, at: Path, address: str) -> float:
    meter = Meter()
    with Gallery.create(photos, at=at) as gallery:
        update_on_ray(gallery, address=address, on_progress=meter)
        assert len(gallery) > 0
    return meter.per_image


if __name__ == "__main__":
    main()
