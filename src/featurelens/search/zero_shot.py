"""Labels for every image of a gallery by their names alone, and an honest "none of these"."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from featurelens.backbone.protocol import no_text
from featurelens.errors import BackboneError, InvalidInput
from featurelens.search.gallery import Gallery
from featurelens.search.hit import Hit
from featurelens.search.ordinary_words import ordinary
from featurelens.search.prompts import prompt_vectors
from featurelens.shapes import Float, Float32

_DRAWS, _ASKED, _CHUNK = 100, 2_000, 4_096


@dataclass(frozen=True)
class Labelled:
    """An image and its label, None for "none of these"; `best` is the nearest label all the same.

    `score`: how far the best label stands out from ordinary words, in their spreads; `margin`: how far it is from the
    second label (None for one label); `hit.similarity` is the cosine to the best label.
    """

    hit: Hit
    label: str | None
    best: str
    score: float
    margin: float | None


@dataclass(frozen=True)
class ZeroShot:
    """All images with their labels, by name; `line` is the score that a label must pass, `risk` what it is set to."""

    images: tuple[Labelled, ...]
    labels: tuple[str, ...]
    line: float
    risk: float

    def counts(self) -> dict[str | None, int]:
        """How many images have each label, in the order given; None: none of these."""
        found = Counter(one.label for one in self.images)
        return {label: found[label] for label in (*self.labels, None)}

    def rows(self) -> list[dict[str, Any]]:
        """One plain row an image, for JSON and CSV; the label of "none of these" is empty."""
        return [
            {
                "name": one.hit.name,
                "label": one.label or "",
                "best": one.best,
                "score": round(one.score, 4),
                "margin": None if one.margin is None else round(one.margin, 4),
                "similarity": round(one.hit.similarity, 6),
            }
            for one in self.images
        ]


def label_images(
    gallery: Gallery,
    labels: Sequence[str],
    *,
    templates: Sequence[str] | None = None,
    risk: float = 0.05,
) -> ZeroShot:
    """Give each image (or sound) of a gallery the label that it is most like, or none.

    A label's score in an image is its cosine in units of how the cosines of some 200 ordinary words (dog, road, cup)
    spread there. The line is measured on the gallery: a hundred times as many of the ordinary words as there are labels
    play the labels, and the line is what the best of them reaches in `risk` of all cases. So of the images that show
    none of the labels about `risk` get one, as far as the labels are to them as ordinary words are. Raises InvalidInput,
    BackboneError for a gallery without a text tower.
    """
    names = _checked(labels, risk)
    if not gallery.spec.text:
        raise BackboneError(no_text(gallery.spec.name, "Labelling by names"))
    hits = {hit.name: hit for hit in gallery.images()}
    if not hits:
        raise InvalidInput("The gallery holds no images; index some first.")
    backbone, features = gallery.backbone, gallery.features()
    wanted = prompt_vectors(backbone, names, templates=templates)
    others = prompt_vectors(backbone, ordinary(names, backbone.spec.modality), templates=templates)
    step = max(1, len(features) // _ASKED)
    line = chance_line(features.vectors[::step] @ others.T, len(names), risk=risk)
    found = []
    for start in range(0, len(features), _CHUNK):
        rows = features.vectors[start : start + _CHUNK]
        cosines, scores = rows @ wanted.T, standing_out(rows @ wanted.T, rows @ others.T)
        for name, each, values in zip(features.ids[start : start + _CHUNK], cosines, scores, strict=True):
            if (hit := hits.get(str(name))) is not None:
                found.append(_one(hit, names, each, values, line))
    return ZeroShot(tuple(sorted(found, key=lambda one: one.hit.name)), names, line, risk)


def standing_out(
    cosines: Float32[np.ndarray, "image label"], others: Float32[np.ndarray, "image word"]
) -> Float[np.ndarray, "image label"]:
    """Cosines of labels in units of the spread of those of other words in the same image, from their mean."""
    mean, spread = others.mean(1, keepdims=True), others.std(1, keepdims=True)
    return (cosines - mean) / np.maximum(spread, 1e-6)


def chance_line(others: Float32[np.ndarray, "image word"], labels: int, *, risk: float) -> float:
    """The score that the best of `labels` ordinary words reaches in `risk` of all images and draws."""
    random = np.random.default_rng(0)
    words = others.shape[1]
    some = min(labels, words // 2)
    best = []
    for _ in range(_DRAWS):
        order = random.permutation(words)
        best.append(standing_out(others[:, order[:some]], others[:, order[some:]]).max(1))
    return float(np.quantile(np.concatenate(best), 1 - risk))


def _one(hit: Hit, names: tuple[str, ...], cosines: np.ndarray, scores: np.ndarray, line: float) -> Labelled:
    order = np.argsort(-scores, kind="stable")
    first = int(order[0])
    score = float(scores[first])
    margin = score - float(scores[order[1]]) if len(order) > 1 else None
    hit = replace(hit, similarity=float(cosines[first]))
    return Labelled(hit, names[first] if score > line else None, names[first], score, margin)


def _checked(labels: Sequence[str], risk: float) -> tuple[str, ...]:
    if isinstance(labels, str):
        raise InvalidInput(f"labels is one text; give a list of names, such as {labels.split(',')}.")
    names = tuple(dict.fromkeys(one.strip() for one in labels if one.strip()))
    if not names:
        raise InvalidInput("No labels were given; name at least one thing that images may show.")
    if not 0 < risk < 1:
        raise InvalidInput(f"risk is {risk}; expected a share above 0 and below 1, such as 0.05.")
    return names
