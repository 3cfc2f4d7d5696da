"""Files with the same content, and pictures that are copies of each other though their files differ."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from featurelens.features.progress import Meter, OnProgress
from featurelens.search import rows
from featurelens.search.gallery import Gallery
from featurelens.search.hit import Hit

_CHUNK = 256
THRESHOLD = 0.95


@dataclass(frozen=True)
class DuplicateGroup:
    """Images of the gallery that show the same picture; the first is the one to keep (most pixels).

    "exact": the files hold the same bytes. "near": the same picture, cropped, rescaled, compressed again ... .
    `how` tells for each member what it is beside the first; `similarity` of a member is its cosine to it.
    """

    kind: Literal["exact", "near"]
    members: tuple[Hit, ...]
    how: tuple[str, ...]


def find_duplicates(
    gallery: Gallery,
    *,
    threshold: float = THRESHOLD,
    neighbours: int = 20,
    path: str | None = None,
    label: str | None = None,
    on_progress: OnProgress | None = None,
) -> list[DuplicateGroup]:
    """All groups of duplicates, the largest first; nothing is changed or deleted."""
    finder, root = gallery.finder, gallery.images_folder
    with finder.reading() as connection:
        snapshot = finder.nearest.snapshot(connection)
        wanted = set(rows.ids_where(connection, path, label).tolist())
        hashes = dict(
            connection.execute("SELECT id, hash FROM images WHERE status = 'indexed' AND length(hash) > 0")
        )
    ids = np.concatenate([block.ids for block in snapshot.blocks] or [np.empty(0, np.int64)])
    parent = {int(one): int(one) for one in ids if int(one) in wanted}

    def top(one: int) -> int:
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    first: dict[bytes, int] = {}
    for one in parent:
        digest = hashes.get(one)
        if digest is not None:
            parent[top(one)] = top(first.setdefault(digest, one))
    meter = Meter(len(parent), on_progress)
    for block in snapshot.blocks:
        for start in range(0, len(block.ids), _CHUNK):
            part = [
                i for i in range(start, min(start + _CHUNK, len(block.ids))) if int(block.ids[i]) in parent
            ]
            if not part:
                continue
            found, cosines = finder.nearest.search(snapshot, block.vectors[part], neighbours + 1)
            for i, near, values in zip(part, found, cosines, strict=True):
                for other, value in zip(near.tolist(), values.tolist(), strict=True):
                    if value >= threshold and other in parent:
                        parent[top(int(block.ids[i]))] = top(other)
            meter.step(len(part))
    together: dict[int, list[int]] = defaultdict(list)
    for one in parent:
        together[top(one)].append(one)
    groups = []
    for members in (m for m in together.values() if len(m) > 1):
        with finder.reading() as connection:
            hits = rows.hits_of(connection, root, members, [1.0] * len(members))
        hits.sort(key=lambda hit: (-hit.width * hit.height, hit.name))
        same = [hashes.get(hit.id) == hashes.get(hits[0].id) for hit in hits]
        keep = gallery.vector(hits[0].id)
        hits = [replace(hit, similarity=float(gallery.vector(hit.id) @ keep)) for hit in hits]
        how = tuple("same bytes" if s else "near" for s in same)
        groups.append(DuplicateGroup("exact" if all(same) else "near", tuple(hits), how))
    return sorted(groups, key=lambda group: (-len(group.members), group.members[0].name))
