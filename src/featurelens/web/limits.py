"""What the service takes from a client, how much of it at once, and for how long."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Sizes in bytes, pictures in pixels, times in seconds.

    `upload` is one image, `body` a whole request, `bodies` all requests that are being read or answered, `kept`
    all uploads together in memory; `pixels` and `decode_s` bound the decoding of one image, `body_s` the time
    a client may take to send a request.

    `at_once` requests are in the service at the same time, `waiting` of them before the engine, so few that 99 of
    100 take at most `latency_s`; the others are refused. `answer_s` is when any request is given up. `batch` images or
    queries go through the engine together, as many as take about `batch_s`. `rate` requests a second are each
    client's (None: any number), `burst` of them at once.
    """

    upload: int = 32 << 20
    body: int = 48 << 20
    bodies: int = 256 << 20
    kept: int = 256 << 20
    pixels: int = 50_000_000
    decode_s: float = 15.0
    body_s: float = 60.0
    at_once: int = 512
    waiting: int = 64
    latency_s: float = 2.0
    answer_s: float = 60.0
    batch: int = 64
    batch_s: float = 0.1
    rate: float | None = None
    burst: int = 200
