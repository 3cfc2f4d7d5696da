"""Learning a gallery's concepts: for the command and for the job of the pages."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featurelens.search.listing import Listing
from featurelens.shapes import Int

if TYPE_CHECKING:
    from featurelens.adapt.concepts import Concepts
    from featurelens.adapt.concepts.naming import Words
    from featurelens.features.progress import OnProgress
    from featurelens.search import Gallery

PAGE = "concepts.html"
Tell = Callable[[str], None]


def learn_concepts(
    gallery: Gallery,
    home: Path,
    *,
    of: Any = "pooled",
    on_images: OnProgress | None = None,
    on_progress: OnProgress | None = None,
    **options: Any,
) -> Concepts:
    """Learn them, keep them in the folder `home`, and write their page beside them.

    `options` are those of `find_concepts`. Where the gallery's network takes text, ordinary words name the concepts.
    """
    from featurelens.adapt.concepts import find_concepts
    from featurelens.web.concepts_page import write_concepts_page

    mark = state_mark(Listing(gallery).contents.ids)
    features = gallery.features()
    if of == "patches":
        paths = {hit.name: hit.path for hit in gallery.images()}
        rules = {"exact": gallery.settings.exact, "max_pixels": gallery.settings.max_pixels}
        options |= {"backbone": gallery.backbone, "files": [paths[name] for name in features.ids], **rules}
    words = _words(gallery) if gallery.spec.text else None
    found = find_concepts(
        features, of=of, words=words, on_images=on_images, on_progress=on_progress, **options
    )
    found = replace(found, origin=mark)
    found.save(home)
    write_concepts_page(home / PAGE, found, gallery)
    return found


def state_mark(ids: Int[np.ndarray, " image"]) -> str:
    """What tells one state of a gallery from another: a new or changed file has a new id, a removed one's goes."""
    return hashlib.sha256(np.sort(ids).astype("<i8").tobytes()).hexdigest()[:16]


def _words(gallery: Gallery) -> Words:
    from featurelens.adapt.concepts.naming import Words
    from featurelens.search import prompt_vectors
    from featurelens.search.ordinary_words import WORDS

    return Words(WORDS, prompt_vectors(gallery.backbone, WORDS))
