"""Files with the same content, and pictures that are copies of each other though their files differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np

from featurelens.backbone.request import free_cores
from featurelens.errors import InvalidInput
from featurelens.features.progress import Meter, OnProgress
from featurelens.search import rows
from featurelens.search.copies import Comparison, File, files_of
from featurelens.search.gallery import Gallery
from featurelens.search.hit import Hit
from featurelens.search.likely import likely_pairs
from featurelens.search.stars import Ties, stars
from featurelens.search.vectors import Snapshot, sample, vectors_of

THRESHOLD = 0.72  # on flowers5 copies with one change agree by .81 or more, strangers by .61 at most
_BATCH = 64  # pairs compared at once; what they show spares some of the next
_STRANGERS = 0.9  # the share of pairs of random images that are not even looked at


@dataclass(frozen=True)
class DuplicateGroup:
    """Images of the gallery that show the same picture; the first is the one to keep (most pixels, then most bytes).

    "exact": all files hold the same bytes. "near": the same picture, cropped, rescaled, compressed again, mirrored
    or recoloured. `how` says for each member what it is beside the first; a member's `similarity` is its cosine to it.
    """

    kind: Literal["exact", "near"]
    members: tuple[Hit, ...]
    how: tuple[str, ...]


def find_duplicates(
    gallery: Gallery,
    *,
    threshold: float = THRESHOLD,
    neighbours: int = 10,
    exact_only: bool = False,
    path: str | None = None,
    label: str | None = None,
    workers: int | None = None,
    on_progress: OnProgress | None = None,
) -> list[DuplicateGroup]:
    """All groups of images that show the same picture, the largest first. Nothing is changed or deleted.

    Same bytes are the same file. Else each image's `neighbours` nearest vectors are candidates, and their pictures are
    laid upon each other: a copy agrees everywhere, by `threshold` or more (1 at best), a merely similar photo does
    not. `path` and `label` restrict the search as in `Gallery.search`. A file edited since it was indexed is what it is
    now, one deleted since is no copy of any; images that cannot be read are compared by vector. Raises InvalidInput.
    """
    if not 0 < threshold <= 1 or neighbours < 1:
        raise InvalidInput(
            f"threshold is {threshold} and neighbours {neighbours}; give a threshold between 0 and 1 and at least "
            "1 neighbour."
        )
    with gallery.finder.reading() as connection:
        snapshot = gallery.finder.nearest.snapshot(connection)
        files = files_of(connection, gallery.images_folder)
        wanted = rows.ids_where(connection, path, label).tolist()
    ties = Ties(one for one in wanted if one in files)
    for first, *twins in _same_bytes(ties.all, files):
        for twin in twins:
            ties.tie(first, twin)
    comparison = Comparison(files, max_pixels=gallery.settings.max_pixels, threshold=threshold)
    if not exact_only:
        alone = {ties.top(one) for one in ties.all}
        meter = Meter(len(alone), on_progress)
        pairs = likely_pairs(
            gallery.finder.nearest, snapshot, alone, neighbours=neighbours, least=_strangers(snapshot)
        )
        with ThreadPoolExecutor(workers or free_cores(), thread_name_prefix="featurelens-pairs") as pool:
            for done, some in pairs:
                for few in (some[i : i + _BATCH] for i in range(0, len(some), _BATCH)):
                    unknown = [pair for pair in few if ties.top(pair[0]) != ties.top(pair[1])]
                    known = [(a, b) for a, b, _ in few if ties.top(a) == ties.top(b)]
                    for pair in [*known, *comparison.copies(unknown, pool)]:
                        ties.tie(*pair)
                meter.step(done)
    with gallery.finder.reading() as connection:  # an update beside this may have taken some away
        there = set(rows.ids_where(connection, path, label).tolist())
    ranked = [sorted(members, key=lambda one: files[one].rank) for members in ties.groups()]
    if gallery.images_folder.is_dir():  # else the files are only out of reach for now
        ranked = [[one for one in some if not files[one].gone] for some in ranked]
    found = [star for some in ranked for star in stars(some, ties, comparison.alike, there=there)]
    groups = [_group(gallery, members, snapshot, files, comparison) for members in found]
    return sorted(groups, key=lambda group: (-len(group.members), group.members[0].name))


def _strangers(snapshot: Snapshot) -> float:
    """The cosine that most pairs of images stay below."""
    rows = sample(snapshot, 512)
    cosines = (rows @ rows.T)[np.triu_indices(len(rows), 1)]
    return float(np.quantile(cosines, _STRANGERS)) if len(cosines) >= 1000 else 0.0


def _same_bytes(ids: Iterable[int], files: dict[int, File]) -> list[list[int]]:
    by_hash: dict[bytes, list[int]] = defaultdict(list)
    for one in ids:
        digest = files[one].digest
        if digest is not None:
            by_hash[digest].append(one)
    twins = (some for some in by_hash.values() if len(some) > 1)
    kept = ([one for one in some if not files[one].edited] for some in twins)
    return [some for some in kept if len(some) > 1]


def _group(
    gallery: Gallery, ids: list[int], snapshot: Snapshot, files: dict[int, File], comparison: Comparison
) -> DuplicateGroup:
    order = sorted(ids, key=lambda one: files[one].rank)
    vectors = vectors_of(snapshot, np.array(order))
    with gallery.finder.reading() as connection:
        hits = rows.hits_of(
            connection, gallery.images_folder, order, np.clip(vectors @ vectors[0], -1, 1).tolist()
        )
    how = tuple("keep" if hit.id == order[0] else comparison.how(order[0], hit.id) for hit in hits)
    first = files[order[0]].hash
    same = first is not None and all(files[one].hash == first for one in order)
    return DuplicateGroup("exact" if same else "near", tuple(hits), how)
