"""Several ways of writing one name, as one vector."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from featurelens.backbone.protocol import Backbone
from featurelens.errors import InvalidInput
from featurelens.search.words import unit_texts
from featurelens.shapes import Float32

TEMPLATES = (
    "a photo of a {}.",
    "a photo of the {}.",
    "a close-up photo of a {}.",
    "a bad photo of a {}.",
    "a picture of a large {}.",
    "a picture of a small {}.",
    "a {}.",
)


_BY_MODALITY = {
    "image": TEMPLATES,
    "sound": ("the sound of {}.", "this is a sound of {}.", "a recording of {}.", "one hears {}.", "{}."),
}
_PLAIN = ("{}.", "this is {}.")


def templates_for(modality: str) -> tuple[str, ...]:
    """How a name is written for what a backbone takes.

    >>> templates_for("sound")[0]
    'the sound of {}.'
    """
    return _BY_MODALITY.get(modality, _PLAIN)


def prompt_vectors(
    backbone: Backbone, names: Sequence[str], *, templates: Sequence[str] | None = None
) -> Float32[np.ndarray, "name dim"]:
    """One unit vector for each name: the mean of the unit vectors of all templates that it is put into.

    By default those of what the backbone takes (`templates_for`). Radford et al., "Learning Transferable Visual Models
    From Natural Language Supervision" (2021), section 3.1.4.
    Raises InvalidInput for a template without {}, BackboneError for a backbone without a text tower.
    """
    templates = templates_for(backbone.spec.modality) if templates is None else templates
    if not templates or any("{}" not in one for one in templates):
        raise InvalidInput(f"The templates are {list(templates)}; each must hold {{}}, where the name goes.")
    written = [one.replace("{}", name) for name in names for one in templates]
    vectors = unit_texts(backbone, written).reshape(len(names), len(templates), -1)
    means = vectors.mean(1, dtype=np.float64)
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    return (means / np.maximum(lengths, 1e-12)).astype(np.float32)
