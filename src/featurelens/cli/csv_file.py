"""Tables for other programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


def write_csv(path: Path, rows: Iterable[Sequence[Any]]) -> None:
    """Rows as a CSV file, whole or not at all; bytes of a name that are no text come out as escapes."""
    import csv
    import io

    from featurelens.durable import write_file

    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    write_file(path, lambda file: file.write(text.getvalue().encode("utf-8", "backslashreplace")))
