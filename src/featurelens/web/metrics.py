"""What the service counts, in Prometheus' text format (version 0.0.4)."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from threading import Lock
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from featurelens.web.service import Service

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
Key = tuple[str, str, str]


class Meters:
    """Requests by method, route and status, and how long they took by route (until the headers were sent)."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.requests: Counter[Key] = Counter()
        self.slower: dict[str, list[int]] = {}
        self.seconds: Counter[str] = Counter()
        self.count: Counter[str] = Counter()

    def add(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        with self.lock:
            self.requests[method, route, str(status)] += 1
            within = self.slower.setdefault(route, [0] * len(BOUNDS))
            for i, bound in enumerate(BOUNDS):
                within[i] += seconds <= bound
            self.seconds[route] += seconds  # pyright: ignore[reportArgumentType]
            self.count[route] += 1


class Metered:
    """ASGI middleware that counts."""

    def __init__(self, app: ASGIApp, *, meters: Meters) -> None:
        self._app, self._meters = app, meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status, seconds = time.perf_counter(), 500, 0.0

        async def sending(message: Message) -> None:
            nonlocal status, seconds
            if message["type"] == "http.response.start":
                status, seconds = message["status"], time.perf_counter() - started
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._meters.add(method, route, status, seconds or time.perf_counter() - started)


_METHODS = {"GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH"}


def exposition(service: Service) -> str:
    """All that is counted, as Prometheus reads it."""
    with service.meters.lock:
        requests = list(_requests(service.meters))
    return "\n".join([*_gauges(service), *requests]) + "\n"


def _gauges(service: Service) -> Iterable[str]:
    yield from _one("featurelens_images", "gauge", "Images in the gallery.", len(service.gallery))
    yield from _one("featurelens_uploads", "gauge", "Query images held in memory.", len(service.uploads))
    up = time.time() - service.started
    yield from _one("featurelens_uptime_seconds", "gauge", "Seconds since the start.", round(up, 3))
    running = sum(job.running for job in service.jobs.all())
    yield from _one("featurelens_jobs_running", "gauge", "Jobs that run.", running)
    for name, what in (("batches", "Batches worked on together."), ("items", "Items in those batches.")):
        yield f"# HELP featurelens_queue_{name}_total {what}"
        yield f"# TYPE featurelens_queue_{name}_total counter"
        for queue, batcher in service.queues.items():
            yield f'featurelens_queue_{name}_total{{queue="{queue}"}} {getattr(batcher, name)}'


def _one(name: str, kind: str, what: str, value: float) -> Iterable[str]:
    return f"# HELP {name} {what}", f"# TYPE {name} {kind}", f"{name} {value}"


def _requests(meters: Meters) -> Iterable[str]:
    name = "featurelens_http_requests_total"
    yield f"# HELP {name} Requests by method, route and status."
    yield f"# TYPE {name} counter"
    for (method, route, status), count in sorted(meters.requests.items()):
        yield f'{name}{{method="{method}",route="{route}",status="{status}"}} {count}'
    name = "featurelens_http_seconds"
    yield f"# HELP {name} Seconds until a response began."
    yield f"# TYPE {name} histogram"
    for route, within in sorted(meters.slower.items()):
        for bound, count in zip(BOUNDS, within, strict=True):
            yield f'{name}_bucket{{route="{route}",le="{bound}"}} {count}'
        yield f'{name}_bucket{{route="{route}",le="+Inf"}} {meters.count[route]}'
        yield f'{name}_sum{{route="{route}"}} {meters.seconds[route]:.6f}'
        yield f'{name}_count{{route="{route}"}} {meters.count[route]}'
