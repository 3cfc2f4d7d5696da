"""What was found: the concepts of a gallery, saved in a folder, and queries led along them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from featurelens.adapt.concepts.dictionary import Dictionary
from featurelens.adapt.concepts.labelled import Labelled
from featurelens.backbone.protocol import Spec
from featurelens.errors import InvalidInput, SpecMismatch
from featurelens.shapes import Float, Float32

Of = Literal["pooled", "patches"]


@dataclass(frozen=True, eq=False)
class Exemplar:
    """An image that fires a concept strongly; of patches also `where`: the activation at each place of the grid."""

    image: str
    activation: float
    label: str = ""
    where: Float32[np.ndarray, "grid_row grid_col"] | None = None

    @property
    def place(self) -> tuple[float, float] | None:
        """(row, column) of the strongest place, as shares of what the network sees of the image."""
        if self.where is None:
            return None
        row, col = np.unravel_index(int(self.where.argmax()), self.where.shape)
        return (float(row) + 0.5) / self.where.shape[0], (float(col) + 0.5) / self.where.shape[1]


@dataclass(frozen=True, eq=False)
class Concept:
    """One concept: in what share of the images it fires, how strongly there, and the images where it does most.

    `name` is what ordinary words suggest, None where no word stands out more than chance gives, or without words.
    """

    number: int
    frequency: float
    strength: float
    exemplars: tuple[Exemplar, ...]
    name: str | None = None

    @property
    def dead(self) -> bool:
        """Whether it never fires."""
        return self.frequency == 0

    @property
    def title(self) -> str:
        """Its number, with its name where it has one."""
        return f"{self.number}" if self.name is None else f"{self.number} ({self.name})"


@dataclass(frozen=True, eq=False)
class Concepts:
    """The concepts of a set of images: the dictionary, and what each of its directions is about.

    `of`: learned from one vector an image ("pooled") or from one a place ("patches"). `explained` is R² on what they
    were learned from, `fired` the mean number that fire for a vector. `searchable`: whether the directions lie in the space of
    the gallery's vectors, so that they can be searched and steered with. `labelled`: in images of which labels each
    fires. `origin` marks the state of the gallery that they were learned from, "" where that is not known.
    """

    spec: Spec
    of: Of
    dictionary: Dictionary
    concepts: tuple[Concept, ...]
    images: int
    vectors: int
    explained: float
    fired: float
    searchable: bool = True
    skipped: tuple[tuple[str, str], ...] = ()
    labelled: Labelled | None = None
    origin: str = ""

    def __len__(self) -> int:
        return len(self.concepts)

    def __getitem__(self, number: int) -> Concept:
        return self.concepts[self._checked(number)]

    @property
    def dead(self) -> list[int]:
        """The concepts that never fire."""
        return [one.number for one in self.concepts if one.dead]

    def direction(self, number: int) -> Float32[np.ndarray, " dim"]:
        """A concept's direction, of length one: as a query it finds the images that have most of it."""
        return self.steer(None, {number: 1.0})

    def steer(
        self, vector: Float[np.ndarray, " dim"] | None, weights: Mapping[int, float]
    ) -> Float32[np.ndarray, " dim"]:
        """The query of length one that lies along `vector` (None: nothing) with more, or less, of some concepts.

        vector / |vector| + sum of weight · direction, so that 1 is as much of a concept as there is of the picture and
        a negative weight takes away. Raises InvalidInput for a concept that is not there, for parts that cancel, and
        for concepts whose directions don't lie in the space of the vectors.
        """
        if not self.searchable:
            raise InvalidInput(
                f"These concepts were learned from the map of '{self.spec.name}', whose mean is not its vector, so one "
                "can't search along them. Learn others from the vectors: featurelens concepts GALLERY --of pooled"
            )
        total = np.zeros(self.spec.dim)
        if vector is not None:
            total += vector / max(float(np.linalg.norm(vector)), 1e-12)
        for number, weight in weights.items():
            if not np.isfinite(weight):
                raise InvalidInput(
                    f"The weight of concept {number} is {weight}; expected a number such as 0.5."
                )
            total += weight * self.dictionary.decoder[self._checked(number)]
        length = float(np.linalg.norm(total))
        if length < 1e-6:
            raise InvalidInput("The query and its concepts cancel each other; give other weights.")
        return np.asarray(total / length, np.float32)

    def check(self, spec: Spec) -> None:
        """SpecMismatch where vectors come from another backbone than these concepts."""
        if spec.fingerprint != self.spec.fingerprint:
            raise SpecMismatch(
                f"The concepts were learned from '{self.spec.name}' ({self.spec.fingerprint}) and the vectors are "
                f"of '{spec.name}' ({spec.fingerprint}). Learn them anew: featurelens concepts GALLERY"
            )

    def save(self, folder: str | Path) -> None:
        """Write `concepts.npz`, which `load` reads, and `concepts.json`, for people and programs."""
        from featurelens.adapt.concepts.saved import save

        save(self, Path(folder))

    @classmethod
    def load(cls, folder: str | Path) -> Concepts:
        """Read what `save` wrote; InvalidInput where there is nothing or something else."""
        from featurelens.adapt.concepts.saved import load

        return load(Path(folder))

    def _checked(self, number: int) -> int:
        if not 0 <= number < len(self):
            raise InvalidInput(f"There is no concept {number}; these are numbered 0 to {len(self) - 1}.")
        return number
