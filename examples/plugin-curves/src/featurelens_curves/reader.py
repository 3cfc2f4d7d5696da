"""The reader: a CSV file becomes curves of 512 points, one a column."""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from featurelens.backbone import Spec
from featurelens.errors import ReadError
from featurelens.images.item import Item

_SEPARATORS = ",;\t "
_NUMBER = r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?"
_ROW = re.compile(rf"^\s*{_NUMBER}(\s*[{_SEPARATORS}]\s*{_NUMBER})*\s*$")


def make(spec: Spec) -> CurveReader:
    """The reader for a Spec, whose `reading` holds the number of points."""
    return CurveReader(int(spec.reading["points"]))


class CurveReader:
    """Every column of numbers is one part, standardised and `points` long."""

    piecewise = False  # a file is read whole; True is for files that may be huge
    dtype = np.dtype(np.float32)

    def __init__(self, points: int) -> None:
        self.shape = (points,)

    def sniff(self, head: bytes) -> str | None:
        """ "CSV" where the first or the second line holds numbers."""
        try:
            lines = head.decode("utf-8-sig").splitlines()
        except UnicodeDecodeError:
            return None
        whole = lines if len(lines) < 3 else lines[:2]
        return "CSV" if any(_ROW.match(line) for line in whole) else None

    def why_not(self, head: bytes) -> str:
        """The line of such a file in the list of skipped files."""
        return "not a table of numbers" if head else "empty file"

    def read(self, source: Any) -> Item:
        """The curves of a path, of the bytes of a file, or of an array [point] or [point, column]."""
        columns = self._columns(source)
        steady = np.ptp(columns, axis=0) == 0
        if steady.all():
            raise ReadError("none of its columns changes")
        at = np.linspace(0, len(columns) - 1, self.shape[0])
        parts = [np.interp(at, np.arange(len(columns)), column) for column in columns[:, ~steady].T]
        return Item(tuple(_standard(part) for part in parts), format="CSV")

    def picture(self, source: Any, side: int) -> Image.Image:
        """The first curve, drawn."""
        part = next(iter(self.read(source).parts))
        height = max(8, side * 5 // 8)
        across = np.linspace(4, side - 5, len(part))
        down = (height - 9) * (1 - (part - part.min()) / max(float(np.ptp(part)), 1e-9)) + 4
        image = Image.new("RGB", (side, height), "white")
        ImageDraw.Draw(image).line(
            list(zip(across.tolist(), down.tolist(), strict=True)), fill="#0d7d5a", width=2
        )
        return image

    def _columns(self, source: Any) -> np.ndarray:
        if isinstance(source, np.ndarray):
            table = np.asarray(source, np.float64)
            table = table[:, None] if table.ndim == 1 else table
        else:
            table = _parsed(_text(source))
        if table.ndim != 2 or len(table) < 8:
            raise ReadError(f"a curve needs 8 points or more; this one has {len(table)}")
        if not np.isfinite(table).all():
            raise ReadError("it holds values that are no numbers (NaN or infinite)")
        return table


def _text(source: Any) -> str:
    try:
        data = source if isinstance(source, bytes) else Path(os.fspath(source)).read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise ReadError(f"the file cannot be read: {(error.strerror or 'unknown error').lower()}") from error
    except UnicodeDecodeError as error:
        raise ReadError("not a text file in UTF-8") from error


def _parsed(text: str) -> np.ndarray:
    lines = [line for line in text.splitlines() if line.strip()]
    if lines and not _ROW.match(lines[0]):
        lines = lines[1:]  # names of columns
    if not lines:
        raise ReadError("the table has no rows")
    separator = next((one for one in _SEPARATORS if one in lines[0].strip()), ",")
    rows = list(csv.reader(lines, delimiter=separator, skipinitialspace=True))
    try:
        return np.array([[float(cell) for cell in row] for row in rows])
    except ValueError as error:
        raise ReadError("its rows are of different lengths, or hold something else than numbers") from error


def _standard(curve: np.ndarray) -> np.ndarray:
    return ((curve - curve.mean()) / max(float(curve.std()), 1e-12)).astype(np.float32)
