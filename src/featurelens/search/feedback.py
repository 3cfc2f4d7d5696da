"""More like these, less like those: several images become one query vector."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from featurelens.errors import InvalidInput
from featurelens.search.gallery import Gallery
from featurelens.search.hit import Hit
from featurelens.search.query import Query
from featurelens.search.vectors import sample
from featurelens.search.words import Texts
from featurelens.shapes import Float32

LESS, AVERAGE = 0.4, 0.5  # chosen on flowers5; docs/search.md has the figures on other photos
_ASKED = 20_000


def feedback_vector(
    gallery: Gallery, more: Sequence[Query], *, less: Sequence[Query] = ()
) -> Float32[np.ndarray, " dim"]:
    """The query vector, of length one, that lies near `more` and away from `less`: give it to `gallery.search`.

    Rocchio's formula (1971) with the gallery's own mean: mean(more) - 0.4 mean(less) - 0.5 mean(gallery), at length
    one. What all images share tells none from another, so it counts for less. Raises InvalidInput without `more`.
    """
    if not len(more):
        raise InvalidInput("Nothing to look for was given; name at least one image in `more`.")
    vector = np.stack([gallery.vector(one) for one in more]).mean(0, dtype=np.float64)
    if len(less):
        vector -= LESS * np.stack([gallery.vector(one) for one in less]).mean(0, dtype=np.float64)
    rows = sample(gallery.finder.snapshot(), _ASKED)
    if len(rows):
        vector -= AVERAGE * rows.mean(0, dtype=np.float64)
    length = float(np.linalg.norm(vector))
    if length < 1e-6:
        raise InvalidInput("`more` and `less` cancel each other; give other images.")
    return np.asarray(vector / length, np.float32)


def search_like(
    gallery: Gallery,
    more: Sequence[Query],
    *,
    less: Sequence[Query] = (),
    text: Texts | None = None,
    less_text: Texts | None = None,
    text_weight: float = 1.0,
    k: int = 10,
    min_similarity: float | None = None,
    path: str | None = None,
    label: str | None = None,
    exact: bool | None = None,
) -> list[Hit]:
    """The k images most like `more` and least like `less`, best first; words and options as in `Gallery.search`.

    A hit's `similarity` is the cosine to `feedback_vector`, lower than those of a plain search.
    """
    return gallery.search(
        feedback_vector(gallery, more, less=less),
        text=text,
        less_text=less_text,
        text_weight=text_weight,
        k=k,
        min_similarity=min_similarity,
        path=path,
        label=label,
        exact=exact,
    )
