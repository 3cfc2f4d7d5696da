"""From a gallery's features to its concepts: learn the dictionary, then look at what fires it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from featurelens.adapt.concepts.exemplars import answers_of, told
from featurelens.adapt.concepts.found import Concepts, Of
from featurelens.adapt.concepts.labelled import labelled
from featurelens.adapt.concepts.learn import learn_dictionary
from featurelens.adapt.concepts.naming import Words, suggested
from featurelens.adapt.concepts.patches import patches_of
from featurelens.backbone.protocol import Backbone
from featurelens.errors import InvalidInput, SpecMismatch
from featurelens.features.progress import OnProgress
from featurelens.features.table import Features
from featurelens.images.decode import DEFAULT_MAX_PIXELS

_COUNT = 64


def find_concepts(
    features: Features,
    *,
    of: Of = "pooled",
    count: int | None = None,
    active: int = 4,
    top: int = 9,
    steps: int = 500,
    seed: int = 0,
    backbone: Backbone | None = None,
    files: Sequence[Path] | None = None,
    words: Words | None = None,
    exact: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    on_images: OnProgress | None = None,
    on_progress: OnProgress | None = None,
) -> Concepts:
    """Learn `count` concepts, of which `active` speak for a vector, and find the `top` images of each.

    Without `count` there are 64, of few vectors a quarter as many. `of="patches"` learns from every place of the images
    in `files` (one for each of the features, in their order) as `backbone` sees them; up to 1 GiB of places, of more
    images an even choice. `words` may name the concepts. Runs on the CPU; the same seed gives the same concepts.
    `on_images` tells of the images that are looked at, `on_progress` of the steps. Raises InvalidInput, BackboneError
    (no map), SpecMismatch (another backbone).

    >>> import numpy as np
    >>> from featurelens import Features, Spec
    >>> corners = np.repeat(np.eye(3, dtype=np.float32), 20, axis=0)
    >>> spec = Spec("corners", weights="none", dim=3)
    >>> found = find_concepts(Features(tuple(map(str, range(60))), corners, spec), count=3, active=1)
    >>> len(found), round(found.fired, 2) <= 1, round(found.explained, 2)
    (3, True, 1.0)
    """
    if top < 1:
        raise InvalidInput(f"top is {top}; give how many images to show of a concept, at least 1.")
    skipped: tuple[tuple[str, str], ...] = ()
    searchable = True
    chosen = np.arange(len(features))
    if of == "patches":
        if backbone is None or files is None or len(files) != len(features):
            raise InvalidInput(
                f"Patches need the backbone and the {len(features)} files of the features' images; given were "
                f"{'a' if backbone else 'no'} backbone and {len(files) if files is not None else 'no'} files."
            )
        if backbone.spec.fingerprint != features.spec.fingerprint:
            raise SpecMismatch(
                f"The features are of '{features.spec.name}' and the backbone is '{backbone.spec.name}'; give the same."
            )
        seen = patches_of(files, backbone, exact=exact, max_pixels=max_pixels, on_progress=on_images)
        tokens, chosen, searchable = seen.tokens, seen.images, seen.mean_is_vector
        skipped = tuple((features.ids[number], reason) for number, reason in seen.skipped)
    elif of == "pooled":
        tokens = features.vectors[:, None, None, :]
    else:
        raise InvalidInput(f"of is '{of}'; expected pooled (one vector an image) or patches (one a place).")
    rows = tokens.reshape(-1, tokens.shape[-1])
    if count is None:
        count = max(active, min(_COUNT, len(rows) // 4))
    dictionary = learn_dictionary(
        rows, count=count, active=active, steps=steps, seed=seed, on_progress=on_progress
    )
    answers = answers_of(dictionary, tokens, top)
    best = np.where(answers.best >= 0, chosen[answers.best], -1)
    labels = None if features.labels is None else [features.labels[i] for i in chosen]
    return Concepts(
        spec=features.spec,
        of=of,
        dictionary=dictionary,
        concepts=told(
            dictionary,
            tokens,
            answers,
            images=[features.ids[i] for i in chosen],
            labels=labels,
            names=suggested(best, features.vectors, words),
        ),
        images=len(tokens),
        vectors=len(rows),
        explained=dictionary.explained(rows),
        fired=answers.fired,
        searchable=searchable,
        skipped=skipped,
        labelled=labelled(answers.fires, labels),
    )
