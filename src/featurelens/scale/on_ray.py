"""Indexing on a Ray cluster: each unit of work is read, encoded and committed by one of its machines."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from featurelens.backbone.protocol import Backbone
from featurelens.backbone.request import Precision
from featurelens.errors import GalleryError, InvalidInput
from featurelens.features.progress import OnProgress
from featurelens.scale.columns import settings_of
from featurelens.scale.engines import connected
from featurelens.scale.index_on_ray import RayIndexer
from featurelens.scale.plan import Unit
from featurelens.scale.sources import Source
from featurelens.scale.store import LanceStore
from featurelens.scale.table import Table
from featurelens.scale.update import Terms
from featurelens.scale.work import Done, OnBatch, Worker
from featurelens.search.gallery import Gallery
from featurelens.search.update import UpdateReport

_AHEAD = 2  # units that wait at an encoder while it works
_ATTEMPTS = 5  # of a unit, when the machines that do it die
_PAUSE_S, _REST_S = (
    2.0,
    10.0,
)  # before an encoder that was away is asked again: when no other works, when others do


def update_on_ray(
    gallery: Gallery,
    *,
    address: str | None = None,
    encoders: int | None = None,
    load: Callable[[], Backbone] | None = None,
    device: str = "auto",
    batch_size: int = 32,
    labels: bool = True,
    retry_skipped: bool = False,
    on_progress: OnProgress | None = None,
) -> UpdateReport:
    """`Gallery.update` by the machines of a Ray cluster; the gallery and the images must be in reach of all of them.

    `address`: as for `ray.init` (None: the cluster that runs, or one on this machine). One encoder for each GPU,
    without GPUs one for each machine (`encoders`: how many). An encoder that dies starts elsewhere and its unit is done
    again; kill the driver, and the next run goes on. When it is due they build the vector index, too. `load` makes the
    backbone there (default: by its name). Raises InvalidInput for a gallery that is no table, GalleryError where units
    could not be done, MissingExtra.
    """
    store = gallery.store
    if not isinstance(store, LanceStore):
        raise InvalidInput(
            f"{gallery.address} is a folder of this machine, which others cannot write. Index into a Lance table that "
            "all of them reach, such as s3://bucket/photos.lance."
        )
    make = load or partial(_by_name, store.settings.spec.name, device, store.settings.precision)
    team = RayTeam(address, encoders, make)
    return store.update(
        gallery.backbone,
        batch_size=batch_size,
        workers=1,
        labels=labels,
        retry_skipped=retry_skipped,
        on_progress=on_progress,
        team=team,
        make_index=RayIndexer(address),
    )


@dataclass(frozen=True)
class RayTeam:
    """The encoders of a cluster."""

    address: str | None
    encoders: int | None
    load: Callable[..., Backbone]

    @contextmanager
    def __call__(
        self, terms: Terms, units: list[Unit], backbone: Backbone, on_batch: OnBatch
    ) -> Iterator[Iterator[Done]]:
        """Start the encoders, give out the units, stop the encoders."""
        with connected(self.address) as ray:
            actors = _start(ray, self, terms, min(len(units), self.encoders or len(units)))
            try:
                yield _results(ray, actors, units, on_batch)
            finally:
                for actor in actors:
                    ray.kill(actor)


class Encoder:
    """What runs on the other machines: a worker with its own backbone and its own connection to the table."""

    def __init__(self, terms: Terms, load: Callable[..., Backbone], threads: int) -> None:
        table = Table(terms.address)
        settings, _ = settings_of(table.latest().schema.metadata, terms.address)
        backbone = load(threads=threads) if isinstance(load, partial) else load()
        settings.check(backbone.spec)
        source = Source(terms.root, terms.patterns)
        self._worker = Worker(table, source, settings, backbone, batch_size=terms.batch_size, workers=threads)

    def do(self, unit: Unit) -> tuple[Done, int]:
        """What the unit came to, and how many files were in it."""
        files = 0

        def count(done: int, failed: int) -> None:
            nonlocal files
            files += done

        return self._worker.do(unit, count), files


def _by_name(name: str, device: str, precision: Precision, *, threads: int) -> Backbone:
    from featurelens.backbone import load_backbone

    return load_backbone(name, device=device, precision=precision, threads=threads)


def _start(ray: Any, team: RayTeam, terms: Terms, most: int) -> list[Any]:
    """One encoder for each GPU, else one for each machine with all of its cores."""
    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
    gpus = int(sum(node["Resources"].get("GPU", 0) for node in nodes))
    rules: dict[str, Any] = {"max_restarts": -1, "max_task_retries": _ATTEMPTS, "max_concurrency": 1}
    remote, strategies = ray.remote(Encoder), ray.util.scheduling_strategies
    actors = []
    for i in range(min(most, gpus or team.encoders or len(nodes))):
        node = nodes[i % len(nodes)]
        cores = int(node["Resources"]["CPU"])
        if gpus:
            options = {"num_cpus": 1, "num_gpus": 1, "scheduling_strategy": "SPREAD"}
        else:  # soft: if this machine dies, another one takes the encoder
            where = strategies.NodeAffinitySchedulingStrategy(node["NodeID"], soft=True)
            options = {"num_cpus": 0, "scheduling_strategy": where}
        threads = max(1, cores // max(1, gpus // max(1, len(nodes)))) if gpus else cores
        actors.append(remote.options(**rules, **options).remote(terms, team.load, threads))
    if not actors:
        raise GalleryError("The Ray cluster has no machine with a free core. Start it with: ray start --head")
    return actors


def _results(ray: Any, actors: list[Any], units: list[Unit], on_batch: OnBatch) -> Iterator[Done]:
    """What the units came to, as they are done; each encoder has a few in hand.

    A unit whose encoder has gone is given to another; the encoder rests a while, since it may come back elsewhere.
    """
    left, running, failed = list(reversed(units)), {}, []
    tries: Counter[int] = Counter()
    resting: list[tuple[float, Any]] = []

    def give(actor: Any) -> None:
        if left:
            unit = left.pop()
            running[actor.do.remote(unit)] = (actor, unit)

    def wake(now: float) -> None:
        for entry in [one for one in resting if one[0] <= now]:
            resting.remove(entry)
            give(entry[1])

    for _ in range(_AHEAD):
        for actor in actors:
            give(actor)
    while running or left:
        if not running:
            time.sleep(_PAUSE_S)
            wake(math.inf)
        (ready,), _ = ray.wait(list(running), num_returns=1)
        actor, unit = running.pop(ready)
        try:
            done, files = ray.get(ready)
        except ray.exceptions.RayError as error:
            tries[unit.number] += 1
            if tries[unit.number] < _ATTEMPTS:
                left.append(unit)
            else:
                failed.append((unit.number, str(error).strip().splitlines()[-1]))
                on_batch(unit.size, unit.size)
            resting.append((time.monotonic() + _REST_S, actor))
            continue
        on_batch(files, done.failed)
        yield done
        give(actor)
        wake(time.monotonic())
    if failed:
        raise GalleryError(
            f"{len(failed):,} of {len(units):,} units of work could not be done; the others are committed. The first: "
            f"{failed[0][1][:300]}. Run the same command again for the rest."
        )
