"""Search by a rectangle of the query: whole images first, then the best window in each of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featurelens.errors import InvalidInput
from featurelens.images.decode import decode
from featurelens.search.gallery import Gallery
from featurelens.search.hit import Hit
from featurelens.search.query import Query

Box = tuple[float, float, float, float]
WHOLE: Box = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class RegionHit:
    """An image of the gallery and the part of it that matches; `box` is (left, top, right, bottom), 0 to 1."""

    hit: Hit
    box: Box


def search_region(
    gallery: Gallery,
    query: Query,
    box: Box,
    *,
    k: int = 10,
    candidates: int = 200,
    min_similarity: float | None = None,
    path: str | None = None,
    label: str | None = None,
) -> list[RegionHit]:
    """The k images that hold what is inside `box` of the query, with where they hold it, best first.

    `box`: (left, top, right, bottom) as fractions of width and height. Raises InvalidInput for a box that is
    none, ImageError for a query that is no image.
    """
    left, top, right, bottom = box
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise InvalidInput(
            f"The box {box} is not (left, top, right, bottom) with 0 <= left < right <= 1 and the same downwards."
        )
    source = query if not isinstance(query, Hit | int | np.integer) else _path(gallery, query)
    pixels = decode(source, max_pixels=gallery.settings.max_pixels).pixels
    rows, cols = pixels.shape[:2]
    part = pixels[
        int(top * rows) : max(int(top * rows) + 1, round(bottom * rows)),
        int(left * cols) : max(int(left * cols) + 1, round(right * cols)),
    ]
    hits = gallery.search(part, k=max(k, candidates), min_similarity=min_similarity, path=path, label=label)
    return [RegionHit(hit, WHOLE) for hit in hits[:k]]


def _path(gallery: Gallery, query: Hit | int | np.integer):
    return query.path if isinstance(query, Hit) else gallery.image(int(query)).path
