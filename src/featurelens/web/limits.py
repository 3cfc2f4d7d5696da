"""What the service takes from a client, and for how long."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Sizes in bytes, pictures in pixels, times in seconds.

    `upload` is one image, `body` a whole request, `bodies` all requests that are being read or answered, `kept`
    all uploads together in memory; `pixels` and `decode_s` bound the decoding of one image, `body_s` the time
    a client may take to send a request.
    """

    upload: int = 32 << 20
    body: int = 48 << 20
    bodies: int = 256 << 20
    kept: int = 256 << 20
    pixels: int = 50_000_000
    decode_s: float = 15.0
    body_s: float = 60.0
