"""The vector index of a table, built by the machines of a Ray cluster through lance-ray."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from featurelens.scale.address import storage_options
from featurelens.scale.engines import connected, load_lance_ray

_SAMPLE = 256  # rows for each cell that its centre is learned from, as `create_index` has it; lance-ray insists on them


@dataclass(frozen=True)
class RayIndexer:
    """Makes an index as `dataset.create_index` does, at the cluster of this address (as for `update_on_ray`).

    The centres of the cells and the rotation are learned by this process; then each machine encodes some of the table's
    data files, and this process commits what they wrote. A table of one data file is indexed here.
    """

    address: str | None = None

    def __call__(self, dataset: Any, column: str, kind: str, **shape: Any) -> None:
        files = len(dataset.get_fragments())
        if files < 2:
            dataset.create_index(column, kind, **shape)
            return
        lance_ray = load_lance_ray()
        with connected(self.address) as ray:
            machines = sum(node["Alive"] and node["Resources"].get("CPU", 0) >= 1 for node in ray.nodes())
            lance_ray.create_index(
                dataset,
                column,
                kind,
                num_workers=max(1, min(machines, files)),
                storage_options=storage_options(dataset.uri) or None,
                ray_remote_args={"num_cpus": 1, "scheduling_strategy": "SPREAD"},
                sample_rate=max(2, min(_SAMPLE, dataset.count_rows() // shape["num_partitions"])),
                **shape,
            )
