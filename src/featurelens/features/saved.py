"""Features saved as a folder: the store's format with a single part."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from featurelens.backbone.protocol import Spec
from featurelens.durable import write_folder
from featurelens.errors import FeaturelensError, InvalidInput
from featurelens.features.parts import (
    EMBEDDING,
    HEAD,
    Part,
    part_paths,
    read_head,
    read_part,
    write_head,
    write_part,
)
from featurelens.features.table import Features


def save_features(features: Features, folder: Path) -> None:
    """Write a folder in one step; FeaturelensError rather than replacing anything but features."""
    if folder.exists() and not (folder / HEAD).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise FeaturelensError(
            f"{folder} exists and is not a folder of features; give a new name, or delete it first."
        )

    def fill(part_folder: Path) -> None:
        write_head(part_folder, {EMBEDDING: features.spec}, {"labelled": features.labels is not None})
        blank = ("",) * len(features)
        skipped = tuple((one, "", reason) for one, reason in features.skipped)
        part = Part(features.ids, blank, features.labels or blank, skipped, {EMBEDDING: features.vectors})
        write_part(part_folder / "part-00000000.npz", part)

    write_folder(folder, fill)


def load_features(folder: Path, *, layer: str | None = None) -> Features:
    """Read every committed part of a folder; of an image that was extracted twice, the later row counts."""
    specs, head = read_head(folder)
    if layer is None and len(specs) > 1:
        raise InvalidInput(f"{folder} holds several layers: {', '.join(specs)}. Give one as layer=...")
    chosen = layer or next(iter(specs))
    if chosen not in specs:
        raise InvalidInput(f"{folder} holds no layer '{chosen}'; it has {', '.join(specs)}.")
    parts = [read_part(path, list(specs)) for path in part_paths(folder)]
    return merge(parts, specs, labelled=bool(head.get("labelled", True)))[chosen]


def merge(
    parts: list[Part],
    specs: Mapping[str, Spec],
    *,
    labelled: bool = True,
    order: list[str] | None = None,
    labels: Mapping[str, str] | None = None,
) -> dict[str, Features]:
    """One Features per set from all parts; `order`: only these ids, in this order (default: as written).

    `labels` are today's by id; those of the parts may have changed since.
    """
    where: dict[str, tuple[int, int]] = {}
    skipped: dict[str, str] = {}
    for number, part in enumerate(parts):
        for row, one in enumerate(part.ids):
            where[one] = (number, row)
            skipped.pop(one, None)
        for one, _, reason in part.skipped:
            skipped[one] = reason
            where.pop(one, None)
    wanted = list(where) if order is None else [one for one in order if one in where]
    missed = list(skipped) if order is None else [one for one in order if one in skipped]
    if labels is None:
        texts = tuple(parts[n].labels[row] for n, row in (where[one] for one in wanted))
    else:
        texts = tuple(labels[one] for one in wanted)
    known = texts if labelled and any(texts) else None
    result = {}
    for name, spec in specs.items():
        vectors = np.empty((len(wanted), spec.dim), np.float32)
        for i, one in enumerate(wanted):
            number, row = where[one]
            vectors[i] = parts[number].vectors[name][row]
        pairs = tuple((one, skipped[one]) for one in missed)
        result[name] = Features(tuple(wanted), vectors, spec, known, pairs)
    return result
