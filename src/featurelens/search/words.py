"""Words as queries: alone, or added to pictures and taken from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from featurelens.backbone.protocol import Backbone, Spec, no_text, with_text
from featurelens.errors import BackboneError, InvalidInput
from featurelens.features.units import unit_rows
from featurelens.shapes import Float, Float32

Texts = str | Sequence[str]
LESS = 0.4  # as of pictures (feedback.LESS)
ASKED = 20_000  # images that tell how far a part of the query sets them apart


@dataclass(frozen=True)
class Words:
    """What a query says in words: more like `more`, less like `less`; `weight` against the pictures' one."""

    more: tuple[str, ...] = ()
    less: tuple[str, ...] = ()
    weight: float = 1.0

    @classmethod
    def of(cls, more: Texts | None, less: Texts | None, weight: float) -> Words:
        """From one text or several, or none; InvalidInput for empty ones and a weight that is none."""
        if not np.isfinite(weight) or weight <= 0:
            raise InvalidInput(
                f"The weight of the words is {weight}; expected a number above 0, 1 is as much as a picture."
            )
        return cls(_texts(more), _texts(less), weight)

    def __bool__(self) -> bool:
        return bool(self.more or self.less)


def words_vector(
    words: Words,
    picture: Float32[np.ndarray, " dim"] | None,
    spec: Spec,
    backbone: Callable[[], Backbone],
    rows: Callable[[], Float32[np.ndarray, "row dim"]],
) -> Float32[np.ndarray, " dim"]:
    """The query vector, of length one, of words and at most one picture's vector.

    One text alone is its own vector. Else every part is divided by the spread of its cosines over the gallery's `rows`
    and they are added: picture + weight · (mean of `more` - 0.4 · mean of `less`). A text tells the images of a gallery
    apart by hundredths of cosine and a picture by tenths; so each has the same say. Raises BackboneError for a
    backbone without a text tower, InvalidInput where the parts cancel each other.
    """
    if not spec.text:
        raise BackboneError(no_text(spec.name, "Searching by text"))
    more = unit_texts(backbone(), words.more)
    if picture is None and len(more) == 1 and not words.less:
        return more[0]
    gallery = rows()
    total = np.zeros(spec.dim) if picture is None else _even(picture, gallery)
    for vectors, share in ((more, 1.0), (unit_texts(backbone(), words.less), -LESS)):
        if len(vectors):
            total = total + words.weight * share * np.mean([_even(one, gallery) for one in vectors], axis=0)
    length = float(np.linalg.norm(total))
    if length < 1e-6:
        raise InvalidInput("The parts of the query cancel each other; give other words or another weight.")
    return np.asarray(total / length, np.float32)


def unit_texts(backbone: Backbone, texts: Sequence[str]) -> Float32[np.ndarray, "text dim"]:
    """The vectors of texts at length one; BackboneError where the backbone takes none or a vector is unusable."""
    if not texts:
        return np.empty((0, backbone.spec.dim), np.float32)
    units, good = unit_rows(with_text(backbone, "Searching by text").embed_text(list(texts)))
    if not good.all():
        raise BackboneError(
            f"'{backbone.spec.name}' gives no usable vector for '{texts[int((~good).argmax())]}'."
        )
    return units


def _even(
    vector: Float[np.ndarray, " dim"], rows: Float32[np.ndarray, "row dim"]
) -> Float[np.ndarray, " dim"]:
    """The vector over the spread of its cosines: a step along it counts as much as one along any other."""
    spread = float((rows @ vector).std()) if len(rows) > 1 else 0.0
    return vector.astype(np.float64) / (spread if spread > 1e-6 else 1.0)


def _texts(given: Texts | None) -> tuple[str, ...]:
    texts = (given,) if isinstance(given, str) else tuple(given or ())
    if any(not one.strip() for one in texts):
        raise InvalidInput("An empty text says nothing to search for; write what the image shows.")
    return texts
