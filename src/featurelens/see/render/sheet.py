"""Several pictures on one sheet, with captions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from featurelens.errors import InvalidInput
from featurelens.shapes import UInt8

_PAPER, _INK = 255, (40, 40, 46)
# What Pillow's own font does not hold.
_PLAIN = str.maketrans(
    {"×": "x", "→": "->", "↔": "<->", "≤": "<=", "≥": ">=", "−": "-", "′": "'", "‑": "-", "…": "..."}
)


def sheet(
    pictures: Sequence[UInt8[np.ndarray, "_row _col 3"]],
    *,
    captions: Sequence[str] | None = None,
    columns: int | None = None,
    title: str = "",
    gap: int = 10,
    text: int = 14,
) -> UInt8[np.ndarray, "row col 3"]:
    """Pictures in rows of `columns` (default: about square), in cells as wide as the widest picture.

    `captions` stand under the pictures, wrapped to their width; `text` is the size of letters in pixels.
    Raises InvalidInput for no pictures, no columns, or another number of captions.

    >>> sheet([np.zeros((20, 30, 3), np.uint8)] * 2, columns=2, gap=5).shape
    (30, 75, 3)
    """
    if not pictures:
        raise InvalidInput("A sheet needs at least one picture.")
    if columns is not None and columns < 1:
        raise InvalidInput(f"columns={columns} must be 1 or more, or None.")
    if captions is not None:
        if len(captions) != len(pictures):
            raise InvalidInput(f"There are {len(pictures)} pictures and {len(captions)} captions.")
        width = max(p.shape[1] for p in pictures)
        lines = max(len(_wrapped(c, width, text)) for c in captions)
        pictures = [
            captioned(p, c, text=text, lines=lines, width=width)
            for p, c in zip(pictures, captions, strict=True)
        ]
    columns = math.ceil(math.sqrt(len(pictures))) if columns is None else min(columns, len(pictures))
    rows = [pictures[start : start + columns] for start in range(0, len(pictures), columns)]
    heights, width = [max(p.shape[0] for p in row) for row in rows], max(p.shape[1] for p in pictures)
    page = np.full((sum(heights) + gap * (len(rows) + 1), columns * (width + gap) + gap, 3), _PAPER, np.uint8)
    top = gap
    for row, height in zip(rows, heights, strict=True):
        for i, picture in enumerate(row):
            left = gap + i * (width + gap)
            page[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
        top += height + gap
    if not title:
        return page
    head = _lettering(_wrapped(title, page.shape[1] - 2 * gap, text + 3), page.shape[1], text + 3, margin=gap)
    return np.concatenate([head, page])


def captioned(
    picture: UInt8[np.ndarray, "row col 3"],
    caption: str,
    *,
    text: int = 14,
    lines: int = 0,
    width: int = 0,
) -> UInt8[np.ndarray, "taller wider 3"]:
    """The picture with a caption under it, wrapped to its width; room for at least `lines` lines."""
    width = max(width, picture.shape[1])
    wrapped = _wrapped(caption, width, text)
    wrapped += [""] * (lines - len(wrapped))
    padded = np.full((picture.shape[0], width, 3), _PAPER, np.uint8)
    padded[:, : picture.shape[1]] = picture
    return np.concatenate([padded, _lettering(wrapped, width, text)])


def _lettering(lines: list[str], width: int, text: int, margin: int = 0) -> np.ndarray:
    step = round(text * 1.3)
    label = Image.new("RGB", (width, step * len(lines) + text // 2), (_PAPER,) * 3)
    draw = ImageDraw.Draw(label)
    for i, line in enumerate(lines):
        draw.text((margin, text // 4 + i * step), line, fill=_INK, font=_font(text))
    return np.asarray(label)


def _wrapped(caption: str, width: int, text: int) -> list[str]:
    """Lines no wider than `width`; a single word that is too wide is cut with dots."""
    font, lines = _font(text), []
    for part in caption.translate(_PLAIN).split("\n"):
        words = part.split(" ")
        while words:
            count = _fitting(words, width, text)
            while count > 1 and font.getlength(" ".join(words[:count])) > width:
                count -= 1
            lines.append(" ".join(words[:count]) if count > 1 else _cut(words[0], width, font))
            words = words[count:]
    return lines


def _fitting(words: list[str], width: int, text: int) -> int:
    """How many of the words fit in a line by their lengths, which are measured once each; at least one."""
    length = 0.0
    for count, word in enumerate(words):
        length += _length(word, text) + (_length(" ", text) if count else 0.0)
        if length > width:
            return max(count, 1)
    return len(words)


@lru_cache(4096)
def _length(word: str, text: int) -> float:
    return _font(text).getlength(word)


def _cut(line: str, width: int, font: Any) -> str:
    if font.getlength(line) <= width:
        return line
    while line and font.getlength(line + "...") > width:
        line = line[:-1]
    return line + "..."


@cache
def _font(size: int) -> Any:
    """Pillow's own font, so that a sheet looks the same on every machine."""
    return ImageFont.load_default(size)
