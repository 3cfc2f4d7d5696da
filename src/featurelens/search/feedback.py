"""More like these, less like those: several images become one query vector."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from featurelens.errors import InvalidInput
from featurelens.search.gallery import Gallery
from featurelens.search.hit import Hit
from featurelens.search.query import Query
from featurelens.shapes import Float32

MORE, LESS = 1.0, 0.25


def feedback_vector(
    gallery: Gallery, more: Sequence[Query], *, less: Sequence[Query] = ()
) -> Float32[np.ndarray, " dim"]:
    """The query vector, of length one, that lies near `more` and away from `less`: give it to `gallery.search`.

    Rocchio's formula: the mean of `more` minus a quarter of the mean of `less`. Raises InvalidInput without `more`.
    """
    if not more:
        raise InvalidInput("Nothing to look for was given; name at least one image in `more`.")
    vector = MORE * np.mean([gallery.vector(one) for one in more], axis=0)
    if less:
        vector = vector - LESS * np.mean([gallery.vector(one) for one in less], axis=0)
    length = float(np.linalg.norm(vector))
    if length < 1e-6:
        raise InvalidInput("`more` and `less` cancel each other; give other images.")
    return (vector / length).astype(np.float32)


def search_like(
    gallery: Gallery,
    more: Sequence[Query],
    *,
    less: Sequence[Query] = (),
    k: int = 10,
    min_similarity: float | None = None,
    path: str | None = None,
    label: str | None = None,
    exact: bool | None = None,
) -> list[Hit]:
    """The k images most like `more` and least like `less`, best first; options as in `Gallery.search`."""
    return gallery.search(
        feedback_vector(gallery, more, less=less),
        k=k,
        min_similarity=min_similarity,
        path=path,
        label=label,
        exact=exact,
    )
