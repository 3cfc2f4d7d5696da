"""Features of different things brought together: an image, its caption and its sound become rows of the same place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

import numpy as np

from featurelens.backbone.protocol import Backbone, with_text
from featurelens.errors import InvalidInput
from featurelens.features.table import Features


def text_features(
    texts: Mapping[str, str], backbone: Backbone, *, labels: Sequence[str] | None = None
) -> Features:
    """One vector a text, by a backbone that takes text; the keys are the ids.

    Raises InvalidInput for no texts, BackboneError for a backbone without a text tower.
    """
    if not texts:
        raise InvalidInput("There are no texts; give a dictionary from ids to texts.")
    rows = with_text(backbone, "Embedding texts").embed_text(list(texts.values()))
    spec = replace(
        backbone.spec,
        name=f"{backbone.spec.name} text",
        weights=f"{backbone.spec.weights} text",
        map_channels=0,
        modality="text",
        reading={},
    )
    return Features.from_raw(tuple(texts), rows, spec, labels=labels)


def without_ending(name: str) -> str:
    """The name of a file without its ending, folders and all.

    >>> without_ending("cats/1.jpg"), without_ending("3")
    ('cats/1', '3')
    """
    return str(PurePosixPath(name).with_suffix(""))


def matched(*sets: Features, key: Callable[[str], str] = without_ending) -> list[Features]:
    """The same items of every set, in the order of the first: those whose `key(id)` all of them have.

    By default the key is the name without its ending, so that cats/1.jpg, cats/1.wav and cats/1.txt are one item. The
    keys are the new ids; labels are those of the first set that has some. Raises InvalidInput where two ids of a set
    have one key, or nothing is in all sets.

    >>> from featurelens.backbone import Spec
    >>> spec, rows = Spec("a", weights="", dim=2), np.eye(2, dtype=np.float32)
    >>> images, sounds = Features(("1.jpg", "2.jpg"), rows, spec), Features(("2.wav", "3.wav"), rows, spec)
    >>> [one.ids for one in matched(images, sounds)]
    [('2',), ('2',)]
    """
    if len(sets) < 2:
        raise InvalidInput(f"There are {len(sets)} sets of features; give two or more to bring together.")
    places = [_places(features, key) for features in sets]
    common = [one for one in places[0] if all(one in others for others in places[1:])]
    if not common:
        named = ", ".join(f"'{next(iter(place), '')}'" for place in places)
        raise InvalidInput(
            f"No item is in all sets: their ids begin with {named}. Give key=, which makes equal ids of equal items."
        )
    labelled = next((i for i, one in enumerate(sets) if one.labels and any(one.labels)), None)
    labels = None
    if labelled is not None:
        texts = sets[labelled].labels or ()
        labels = tuple(texts[places[labelled][one]] for one in common)
    return [
        Features(
            tuple(common), np.ascontiguousarray(one.vectors[[place[i] for i in common]]), one.spec, labels
        )
        for one, place in zip(sets, places, strict=True)
    ]


def _places(features: Features, key: Callable[[str], str]) -> dict[str, int]:
    places: dict[str, int] = {}
    for row, one in enumerate(features.ids):
        if (name := key(one)) in places:
            raise InvalidInput(
                f"'{features.ids[places[name]]}' and '{one}' are both the item '{name}'. Rename one, or give key=."
            )
        places[name] = row
    return places
