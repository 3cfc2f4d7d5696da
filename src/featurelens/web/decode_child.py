"""A process that decodes strangers' images: when one of them hangs, crashes or eats memory, only this process dies.

It reads requests from stdin and writes answers to stdout, each a head of JSON and its bytes.
"""

from __future__ import annotations

import io
import json
import struct
import sys
from typing import IO, Any

import numpy as np
from PIL import Image

from featurelens.errors import ImageError
from featurelens.images.decode import decode
from featurelens.images.fit import Fit

_HEAD = struct.Struct("<IQ")
_MEMORY = 4 << 30  # bytes of address space; the libraries alone take about one
_FAT = 1 << 30  # bytes; a process that has used more makes room for a fresh one


def send(stream: IO[bytes], about: dict[str, Any], *parts: bytes) -> None:
    """Write one message."""
    text = json.dumps({**about, "parts": [len(part) for part in parts]}).encode()
    stream.write(_HEAD.pack(len(text), sum(map(len, parts))) + text)
    for part in parts:
        stream.write(part)
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[dict[str, Any], list[bytes]]:
    """Read one message; EOFError at the end of the stream."""
    text_size, _ = _HEAD.unpack(_exactly(stream, _HEAD.size))
    about = json.loads(_exactly(stream, text_size))
    return about, [_exactly(stream, size) for size in about["parts"]]


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


def answer(about: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes, bytes]:
    """Size, fitted pixels and, where one is asked for, a picture to show; or the reason why there is none."""
    rules = {"max_pixels": about["max_pixels"]}
    try:
        fitted = decode(data, fit=Fit(**about["fit"]), exact=about["exact"], **rules)
        shown = _picture(decode(data, **rules).pixels, about["shown"]) if about["shown"] else b""
    except ImageError as error:
        return {"reason": error.reason}, b"", b""
    told = {"width": fitted.width, "height": fitted.height, "format": fitted.format}
    return told, fitted.pixels.tobytes(), shown


def _picture(pixels: np.ndarray, side: int) -> bytes:
    picture = Image.fromarray(pixels)
    picture.thumbnail((side, side), reducing_gap=2.0)
    shown = io.BytesIO()
    picture.save(shown, "WEBP", quality=82, method=2)
    return shown.getvalue()


def main() -> None:
    """Answer until stdin ends, or until this process has grown too fat."""
    grown = _limited()
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while True:
        try:
            about, (data,) = receive(requests)
        except EOFError:
            return
        told, fitted, shown = answer(about, data)
        last = grown() > _FAT
        send(answers, {**told, "last": last}, fitted, shown)
        if last:
            return


def _limited() -> Any:
    """Bound the memory where the system can; returns a function that tells how much was used at most."""
    try:
        import resource
    except ImportError:  # Windows
        return lambda: 0
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    unit = 1 if sys.platform == "darwin" else 1024
    return lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    main()
