"""Labels as Hugging Face's imagefolder has them: a metadata file, else the class folders."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from featurelens.errors import InvalidInput, MissingExtra

METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
SPLITS = frozenset({"train", "training", "val", "valid", "validation", "dev", "test", "testing", "eval"})


def read_labels(root: str | os.PathLike[str], names: Sequence[str]) -> dict[str, str]:
    """The label of each file name (relative to `root`, '/' between folders) that has one.

    A metadata.csv, .jsonl or .parquet with the columns file_name and label counts for its folder
    and all below; where there is none, the first folder is the class (the second, if the first is
    a split such as train/). InvalidInput names a metadata file that cannot be read, MissingExtra
    pyarrow. Rules: Hugging Face datasets, "Create an image dataset".

    >>> read_labels("no/metadata/here", ["cat/1.jpg", "train/dog/2.jpg", "3.jpg"])
    {'cat/1.jpg': 'cat', 'train/dog/2.jpg': 'dog'}
    """
    label_of = Labels(root)
    found = ((name, label_of(name)) for name in names)
    return {name: label for name, label in found if label is not None}


class Labels:
    """The label of one file after another; each folder's metadata is read once, when first met.

    A metadata file that cannot be read raises, or is told to `on_error` and passed over.
    """

    def __init__(
        self, root: str | os.PathLike[str], *, on_error: Callable[[str], object] | None = None
    ) -> None:
        self._root = Path(root)
        self._on_error = on_error
        self._tables: dict[str, Mapping[str, str] | None] = {}

    def __call__(self, name: str) -> str | None:
        """The label of `name`, or None."""
        folder, _, rest = name.rpartition("/")
        while True:
            table = self._table(folder)
            if table is not None:
                return table.get(rest)
            if not folder:
                return class_folder(name)
            folder, _, last = folder.rpartition("/")
            rest = f"{last}/{rest}"

    def _table(self, folder: str) -> Mapping[str, str] | None:
        if folder not in self._tables:
            try:
                self._tables[folder] = read_metadata(self._root / folder)
            except (InvalidInput, MissingExtra) as error:
                if self._on_error is None:
                    raise
                self._on_error(str(error))
                self._tables[folder] = None
        return self._tables[folder]


def class_folder(name: str) -> str | None:
    """The first folder of a relative name, or the second where the first is a split; None at the top."""
    folders = name.split("/")[:-1]
    if len(folders) > 1 and folders[0].lower() in SPLITS:
        return folders[1]
    return folders[0] if folders and folders[0].lower() not in SPLITS else None


def read_metadata(folder: Path) -> dict[str, str] | None:
    """file_name → label from a folder's metadata file; None where no such file has both columns."""
    for name in METADATA:
        path = folder / name
        if path.is_file():
            return _pairs(_READERS[path.suffix](path))
    return None


def _pairs(rows: Iterable[Mapping[str, Any]]) -> dict[str, str] | None:
    pairs: dict[str, str] = {}
    complete = False
    for row in rows:
        if "file_name" not in row or "label" not in row:
            continue
        complete = True
        name, label = row["file_name"], row["label"]
        if name and label not in (None, ""):
            pairs[str(name).replace("\\", "/").removeprefix("./")] = str(label)
    return pairs if complete else None


def _csv(path: Path) -> Iterable[Mapping[str, Any]]:
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            yield from csv.DictReader(file)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _unreadable(path, error) from error


def _jsonl(path: Path) -> Iterable[Mapping[str, Any]]:
    number = 0
    try:
        with open(path, encoding="utf-8-sig") as file:
            for line in file:
                number += 1
                row = json.loads(line) if line.strip() else {}
                yield row if isinstance(row, dict) else {}
    except (OSError, ValueError, RecursionError) as error:
        raise _unreadable(path, error, f"line {number}: ") from error


def _parquet(path: Path) -> Iterable[Mapping[str, Any]]:
    try:
        pa, pq = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingExtra("pyarrow", "table", f"Reading {path.name}") from error
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error
    return table.select([c for c in table.column_names if c in ("file_name", "label")]).to_pylist()


_READERS = {".csv": _csv, ".jsonl": _jsonl, ".parquet": _parquet}


def _unreadable(path: Path, error: Exception, where: str = "") -> InvalidInput:
    return InvalidInput(
        f"The labels in {path} cannot be read ({where}{error}). Expected: UTF-8 with the columns "
        "file_name and label. Correct the file, or rename it to do without."
    )
