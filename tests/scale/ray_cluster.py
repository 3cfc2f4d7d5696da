"""Three nodes of a real Ray cluster on this machine, and the S3 that they see."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from featurelens.scale import plan
from featurelens.scale.engines import load_ray
from fixtures.numpy_backbone import NumpyBackbone
from fixtures.s3_server import ENVIRONMENT, Store, s3_server

NODE = {"num_cpus": 1, "object_store_memory": 80 << 20}
TESTS = Path(__file__).resolve().parents[1]


@contextmanager
def three_nodes(**more: Any) -> Iterator[tuple[Any, Store]]:
    """The cluster and the S3; `more` is what each node has beside its core."""
    from featurelens.images.remote import _file_system

    with pytest.MonkeyPatch.context() as patch, s3_server() as (endpoint, store):
        for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": endpoint}.items():
            patch.setenv(name, value)
        _file_system.cache_clear()
        patch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]))
        patch.setattr(plan, "UNIT", 6)
        ray = load_ray()
        from ray.cluster_utils import Cluster

        made = Cluster(initialize_head=True, head_node_args={**NODE, **more})
        for _ in range(2):
            made.add_node(**NODE, **more)
        yield made, store
        ray.shutdown()
        made.shutdown()
    _file_system.cache_clear()


def slow_backbone() -> NumpyBackbone:
    return NumpyBackbone(delay=0.02)


class Watched(NumpyBackbone):
    """Notes the process that made it, and the GPUs that it has."""

    def __init__(self, notes: str) -> None:
        super().__init__(delay=0.05)
        (Path(notes) / f"{os.getpid()} {os.environ.get('CUDA_VISIBLE_DEVICES')}").touch()

    @classmethod
    def noting_in(cls, folder: Path) -> Callable[[], NumpyBackbone]:
        """What makes one on another machine."""
        text = str(folder)
        return lambda: cls(text)


def broken_backbone() -> NumpyBackbone:
    raise OSError("the weights are not here")
