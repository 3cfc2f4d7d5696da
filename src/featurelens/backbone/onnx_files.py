"""Which files an ONNX network is read from, told by the file itself: protobuf, walked without the onnx package."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

Span = tuple[int, int]  # where a message begins and ends in the file

# onnx.proto: the numbers of the fields that lead to the names of external files, and what each holds.
_LEADS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}


def parts(file: Path, usual: str) -> list[Path]:
    """The file and those beside it that hold weights of its graph: FILE + `usual`, then all others that it names, sorted.

    Only those that are there; of a file that is not ONNX, those that were named before it broke off.
    """
    first = file.with_name(file.name + usual)
    beside = {file.parent / name for name in named(file)}
    return [one for one in (file, first, *sorted(beside - {file, first})) if one.is_file()]


def named(file: Path) -> list[str]:
    """The names, beside the file, of those that hold weights of its graph, sorted, whether they are there or not."""
    return sorted({location.lstrip("/.\\") for location in _locations(file)})  # as OpenVINO reads them


def chunks(file: Path) -> Iterator[bytes]:
    """The bytes of a file, a megabyte at a time."""
    with file.open("rb") as opened:
        while chunk := opened.read(1 << 20):
            yield chunk


def _locations(file: Path) -> set[str]:
    found: set[str] = set()
    if not file.is_file() or not file.stat().st_size:
        return found
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
        waiting: list[tuple[str, Span]] = [("model", (0, len(data)))]
        try:
            while waiting:
                kind, span = waiting.pop()
                if kind == "entry":
                    entry = {number: data[start:end] for number, (start, end) in _fields(data, span)}
                    if entry.get(1) == b"location":
                        found.add(entry.get(2, b"").decode())
                    continue
                leads = _LEADS[kind]
                waiting += [
                    (leads[number], inner) for number, inner in _fields(data, span) if number in leads
                ]
        except (IndexError, ValueError):
            pass  # cut off or no ONNX: the engine that reads it says so
    return found


def _fields(data: mmap.mmap, span: Span) -> Iterator[tuple[int, Span]]:
    """The number and place of each field of a message that has a length; what is between is skipped."""
    at, end = span
    while at < end:
        key, at = _varint(data, at)
        match key & 7:
            case 0:
                _, at = _varint(data, at)
            case 1:
                at += 8
            case 2:
                size, at = _varint(data, at)
                yield key >> 3, (at, at + size)
                at += size
            case 5:
                at += 4
            case _:
                raise ValueError(f"there is no such kind of field: {key & 7}")


def _varint(data: mmap.mmap, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
