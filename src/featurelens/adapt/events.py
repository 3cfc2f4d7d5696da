"""TensorBoard's event files, written without TensorBoard: records of a length, a checksum and a protobuf message."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO


def _table() -> list[int]:
    entries = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        entries.append(byte)
    return entries


_CRC = _table()


class Events:
    """Appends scalars to `events.out.tfevents.*` in a folder; `tensorboard --logdir FOLDER` shows them.

    The format is TFRecord with `Event` messages (tensorflow/core/util/event.proto).
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        now = time.time()
        self._file: BinaryIO = open(folder / f"events.out.tfevents.{now:.6f}.{os.getpid()}", "wb")  # noqa: SIM115
        self._write(_double(1, now) + _bytes(3, b"brain.Event:2"))

    def __enter__(self) -> Events:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def add(self, step: int, values: Mapping[str, float | None]) -> None:
        """One event with several scalars; those that are None are left out."""
        summary = b"".join(
            _bytes(1, _bytes(1, tag.encode()) + _float(2, value))
            for tag, value in values.items()
            if value is not None
        )
        self._write(_double(1, time.time()) + b"\x10" + _varint(step) + _bytes(5, summary))

    def _write(self, message: bytes) -> None:
        length = struct.pack("<Q", len(message))
        self._file.write(length + masked(length) + message + masked(message))
        self._file.flush()


def crc32c(data: bytes) -> int:
    """The Castagnoli checksum (RFC 3720).

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def masked(data: bytes) -> bytes:
    """The checksum as TFRecord stores it."""
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def _bytes(field: int, value: bytes) -> bytes:
    return bytes([field << 3 | 2]) + _varint(len(value)) + value


def _double(field: int, value: float) -> bytes:
    return bytes([field << 3 | 1]) + struct.pack("<d", value)


def _float(field: int, value: float) -> bytes:
    return bytes([field << 3 | 5]) + struct.pack("<f", value)
