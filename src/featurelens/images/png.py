"""A PNG file that an interrupted copy filled up with zeros: Pillow shows it black from there on."""

from __future__ import annotations

from io import SEEK_END, BufferedIOBase

from featurelens.errors import ImageError

_END = b"\0\0\0\0IEND\xaeB`\x82"


def check_filled(file: BufferedIOBase) -> None:
    """Raises ImageError if one of the file's chunks, which have names, begins with zeros instead."""
    size = file.seek(0, SEEK_END)
    file.seek(max(0, size - len(_END)))
    if file.read() == _END:
        return
    at = 8
    while at + 8 <= size:
        file.seek(at)
        head = file.read(8)
        if head[4:] == b"IEND":
            return
        if head[4:] == b"\0\0\0\0":
            raise ImageError(
                "the PNG file is damaged: only zeros from the middle on, as after an interrupted copy"
            )
        at += 12 + int.from_bytes(head[:4], "big")
