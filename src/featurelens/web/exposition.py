"""The metrics in Prometheus' text format (version 0.0.4)."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from featurelens.web.current import Current
from featurelens.web.gate import Door
from featurelens.web.lane import Lane
from featurelens.web.metrics import Meters

if TYPE_CHECKING:
    from featurelens.web.service import Service


def exposition(service: Service, meters: Meters, current: Current, door: Door, lane: Lane) -> str:
    """All that is counted, as Prometheus reads it."""
    about = (
        ("images", "gauge", "Images in the gallery.", len(service.gallery)),
        ("uploads", "gauge", "Query images held in memory.", len(service.uploads)),
        ("uptime_seconds", "gauge", "Seconds since the start.", round(time.time() - current.started, 3)),
        ("jobs_running", "gauge", "Jobs that run.", sum(job.running for job in service.jobs.all())),
        ("requests_inside", "gauge", "Requests that are being answered.", door.inside),
        ("engine_inside", "gauge", "Requests that wait for the engine or are in it.", lane.inside),
        ("engine_foreseen_seconds", "gauge", "How long one more would take.", round(lane.foreseen_s, 6)),
        ("engine_limit_seconds", "gauge", "From how long on it is refused.", round(lane.limit_s, 6)),
        ("gallery_switches_total", "counter", "Galleries that took another's place.", current.switches),
    )
    lines = [line for one in about for line in _one(*one)]
    return "\n".join([*lines, *_queues(service), *_requests(meters)]) + "\n"


def _one(name: str, kind: str, what: str, value: float) -> Iterable[str]:
    yield from _head(name, kind, what)
    yield f"featurelens_{name} {value}"


def _head(name: str, kind: str, what: str) -> Iterable[str]:
    return f"# HELP featurelens_{name} {what}", f"# TYPE featurelens_{name} {kind}"


def _queues(service: Service) -> Iterable[str]:
    for name, what in (("batches", "Batches worked on together."), ("items", "Items in those batches.")):
        yield from _head(f"queue_{name}_total", "counter", what)
        for queue, batcher in service.queues.items():
            yield f'featurelens_queue_{name}_total{{queue="{queue}"}} {getattr(batcher, name)}'
    for name, part, what in (
        ("batch_size", "sizes", "Items that were worked on together."),
        ("wait_seconds", "waits", "Seconds an item waited for its batch."),
        ("work_seconds", "works", "Seconds a batch took."),
    ):
        yield from _head(f"queue_{name}", "histogram", what)
        for queue, batcher in service.queues.items():
            yield from getattr(batcher, part).lines(f"featurelens_queue_{name}", f'queue="{queue}"')


def _requests(meters: Meters) -> Iterable[str]:
    with meters.lock:
        requests, seconds = sorted(meters.requests.items()), sorted(meters.seconds.items())
    yield from _head("http_requests_total", "counter", "Requests by method, route and status.")
    for (method, route, status), count in requests:
        yield f'featurelens_http_requests_total{{method="{method}",route="{route}",status="{status}"}} {count}'
    yield from _head("http_seconds", "histogram", "Seconds until a response began.")
    for route, took in seconds:
        yield from took.lines("featurelens_http_seconds", f'route="{route}"')
