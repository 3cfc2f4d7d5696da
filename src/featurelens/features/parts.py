"""The pieces of the on-disk format: one file of rows, and the folder's description."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from featurelens.backbone.protocol import Spec
from featurelens.durable import write_file
from featurelens.errors import FeaturelensError
from featurelens.shapes import Float32

FORMAT = 1
HEAD = "features.json"
EMBEDDING = "embedding"  # the set's name when no layers were asked for


@dataclass(frozen=True)
class Part:
    """Rows that were committed together: `vectors` holds one array per set (layer), row i is `ids[i]`.

    A stamp tells whether an image is still the one that was extracted; skipped is (id, stamp, reason).
    """

    ids: tuple[str, ...]
    stamps: tuple[str, ...]
    labels: tuple[str, ...]
    skipped: tuple[tuple[str, str, str], ...]
    vectors: Mapping[str, Float32[np.ndarray, "row _"]]


def write_part(path: Path, part: Part) -> None:
    """Commit one part: it is there whole, or not at all, whatever happens to the process."""
    rows = {"ids": part.ids, "stamps": part.stamps, "labels": part.labels, "skipped": part.skipped}
    text = np.frombuffer(json.dumps(rows).encode("ascii"), np.uint8)  # ASCII: odd file names survive
    arrays = {f"set{i}": part.vectors[name] for i, name in enumerate(sorted(part.vectors))}

    def write(file: BinaryIO) -> None:
        np.savez(file, allow_pickle=False, rows=text, **arrays)

    write_file(path, write)


def read_part(path: Path, sets: list[str]) -> Part:
    """Read one part; an error says what to do if the file is damaged."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as data:
            rows = json.loads(data["rows"].tobytes())
            vectors = {name: data[f"set{i}"] for i, name in enumerate(sorted(sets))}
        skipped = tuple((one, stamp, why) for one, stamp, why in rows["skipped"])
        part = Part(tuple(rows["ids"]), tuple(rows["stamps"]), tuple(rows["labels"]), skipped, vectors)
        if any(len(v) != len(part.ids) for v in vectors.values()) or len(part.stamps) != len(part.ids):
            raise ValueError("its columns differ in length")
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise FeaturelensError(
            f"{path} is damaged ({error}). Delete this one file and extract into the same store again: "
            "only its images are done anew."
        ) from error
    return part


def part_paths(folder: Path) -> list[Path]:
    """The committed parts in the order of their writing."""
    return sorted(folder.glob("part-*.npz"))


def write_head(folder: Path, specs: Mapping[str, Spec], extra: Mapping[str, Any]) -> None:
    """Describe a folder: its format, and the Spec of each set of vectors."""
    head = {"format": FORMAT, "sets": {n: s.to_json() for n, s in specs.items()}, **extra}
    text = json.dumps(head, indent=1).encode("ascii")
    write_file(folder / HEAD, lambda file: file.write(text))


def read_head(folder: Path) -> tuple[dict[str, Spec], dict[str, Any]]:
    """The Specs and the other fields of a folder; errors name the folder and what is wrong with it."""
    path = folder / HEAD
    try:
        head = json.loads(path.read_bytes())
        number = head["format"]
        if number != FORMAT:
            raise FeaturelensError(
                f"{folder} has format {number}; this featurelens reads format {FORMAT}. "
                "Use the version that wrote it, or extract again into another folder."
            )
        return {name: Spec.from_json(spec) for name, spec in head["sets"].items()}, head
    except FileNotFoundError as error:
        raise FeaturelensError(
            f"{folder} holds no features ({HEAD} is not there). "
            "Give the folder that Features.save or extract(store=...) wrote."
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FeaturelensError(
            f"{path} cannot be understood ({error!r}). Delete the folder and extract again."
        ) from error
