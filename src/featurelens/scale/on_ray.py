"""Indexing on a Ray cluster: each unit of work is read, encoded and committed by one of its machines."""

from __future__ import annotations

from collections import Counter, deque
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
from featurelens.scale.sources import OnNote, Source
from featurelens.scale.store import LanceStore
from featurelens.scale.table import Table
from featurelens.scale.update import Terms
from featurelens.scale.work import Done, OnBatch, Worker
from featurelens.search.gallery import Gallery
from featurelens.search.update import UpdateReport

_AHEAD = 2  # units that wait at an encoder while it works
_ATTEMPTS = 5  # of a unit, when the machines that do it die
_PATIENCE_S = 600.0  # while no encoder works: for a machine to come, a backbone to load


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
    without GPUs one for each machine (`encoders`: how many). An encoder that dies starts elsewhere if there is room, and
    its units are done again by whoever is up (`report.notes` tell); kill the driver, and the next run goes on. When it is
    due they build the vector index, too. `load` makes the backbone there (default: by its name). Raises InvalidInput
    for a gallery that is no table, GalleryError where units could not be done or no encoder is left, MissingExtra.
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
        self, terms: Terms, units: list[Unit], backbone: Backbone, on_batch: OnBatch, note: OnNote
    ) -> Iterator[Iterator[Done]]:
        """Start the encoders, give out the units, stop the encoders."""
        with connected(self.address) as ray:
            actors = _start(ray, self, terms, min(len(units), self.encoders or len(units)))
            try:
                yield _results(ray, actors, units, on_batch, note)
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

    def ready(self) -> None:
        """Answers as soon as the encoder is up."""

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
    rules: dict[str, Any] = {
        "max_restarts": -1,
        "max_concurrency": 1,
    }  # Ray repeats no unit: others may be free
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


def _results(
    ray: Any, actors: list[Any], units: list[Unit], on_batch: OnBatch, note: OnNote
) -> Iterator[Done]:
    """What the units came to, as they are done; each encoder that is up has a few in hand.

    The units of one that has gone are given to others, last of all; it may come back, elsewhere, or never.
    """
    left = deque(units)
    up: set[int] = set()
    coming: dict[Any, int] = {}
    running: dict[Any, tuple[int, Unit]] = {}
    tries: Counter[int] = Counter()
    failed: list[str] = []
    gone: list[str] = []

    def expect(at: int) -> None:
        coming[actors[at].ready.options(max_task_retries=-1).remote()] = at

    def deal() -> None:
        busy = Counter(at for at, _ in running.values())
        for ahead in range(_AHEAD):
            for at in up:  # one each for those that are still to come, before anybody gets a second
                if busy[at] <= ahead and len(left) > ahead * len(coming):
                    unit = left.popleft()
                    running[actors[at].do.remote(unit)] = (at, unit)
                    busy[at] += 1

    for at in range(len(actors)):
        expect(at)
    while running or left:
        if not running and not coming:
            raise _none_left(f"none of its {len(actors)} encoders could start or go on", gone)
        patience = None if running else _PATIENCE_S
        ready, _ = ray.wait([*running, *coming], num_returns=1, timeout=patience)
        if not ready:
            raise _none_left(f"no machine took up the work for {_PATIENCE_S / 60:.0f} minutes", gone)
        if ready[0] in coming:
            at = coming.pop(ready[0])
            try:
                ray.get(ready[0])
                up.add(at)
            except ray.exceptions.RayError as error:  # for good
                gone.append(_last_line(error))
                note(f"An encoder of the Ray cluster could not start: {gone[-1]}")
            deal()
            continue
        at, unit = running.pop(ready[0])
        try:
            done, files = ray.get(ready[0])
        except ray.exceptions.RayError as error:
            tries[unit.number] += 1
            if tries[unit.number] < _ATTEMPTS:
                left.append(unit)
            else:
                failed.append(_last_line(error))
                on_batch(unit.size, unit.size)
            if at in up:
                up.remove(at)
                expect(at)
                if isinstance(error, ray.exceptions.RayActorError):
                    gone.append(_last_line(error))
        else:
            on_batch(files, done.failed)
            yield done
        deal()
    if failed:
        raise GalleryError(
            f"{len(failed):,} of {len(units):,} units of work could not be done; the others are committed. The first: "
            f"{failed[0]}. Run the same command again for the rest."
        )
    if gone:
        note(
            f"An encoder of the Ray cluster died, its units were done again ({len(gone)} in all). The last: {gone[-1]}"
        )


def _none_left(what: str, gone: list[str]) -> GalleryError:
    reason = f" ({gone[-1]})" if gone else ""
    return GalleryError(
        f"The Ray cluster cannot go on: {what}{reason}. What is committed stays. See to its machines (`ray status`), "
        "then run the same command again for the rest."
    )


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1][:300]
