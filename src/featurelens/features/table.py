"""Features: the vectors of many images, with what is needed to use them rightly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from featurelens.backbone.protocol import Spec
from featurelens.errors import InvalidInput
from featurelens.features.units import unit_rows, why_unfit
from featurelens.shapes import Bool, Float, Float32, Integer


@dataclass(frozen=True, eq=False)
class Features:
    """One L2-normalised float32 vector per image, in the order of `ids`, from the backbone of `spec`.

    `labels` has one text per image ("" where an image has none), or is None. `skipped` lists the
    images that gave no vector, with the reason. InvalidInput where these do not fit together.

    >>> spec = Spec("mean-colour", weights="none", dim=3)
    >>> f = Features.from_raw(("sky.jpg", "sea.jpg"), np.array([[0, 0, 2], [0, 3, 4]], np.float32), spec)
    >>> f.vectors[1].round(2).tolist(), len(f.select([1])), f.select([1]).ids
    ([0.0, 0.6000000238418579, 0.800000011920929], 1, ('sea.jpg',))
    """

    ids: tuple[str, ...]
    vectors: Float32[np.ndarray, "image dim"]
    spec: Spec
    labels: tuple[str, ...] | None = None
    skipped: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        shape = self.vectors.shape
        if self.vectors.dtype != np.float32 or len(shape) != 2:
            raise InvalidInput(
                f"vectors must be float32 [image, dim]; these are {self.vectors.dtype} {list(shape)}."
            )
        if shape[0] != len(self.ids):
            raise InvalidInput(f"{len(self.ids)} ids for {shape[0]} vectors; give one id for each vector.")
        if shape[1] != self.spec.dim:
            raise InvalidInput(
                f"The vectors have {shape[1]} numbers each, but '{self.spec.name}' gives {self.spec.dim}."
            )
        if self.labels is not None and len(self.labels) != len(self.ids):
            raise InvalidInput(f"{len(self.labels)} labels for {len(self.ids)} images; give one for each.")
        if (double := first_double(self.ids)) is not None:
            raise InvalidInput(f"The id {double!r} stands twice; give each image an id of its own.")
        self._check_rows()

    def _check_rows(self) -> None:
        for start in range(0, len(self.ids), 65536):
            squares = np.einsum("nd,nd->n", *(2 * [self.vectors[start : start + 65536]]))
            bad = ~(np.abs(squares - 1) < 1e-3)  # the negation catches NaN too
            if bad.any():
                row = start + int(bad.argmax())
                length = np.linalg.norm(self.vectors[row].astype(np.float64))
                raise InvalidInput(
                    f"The vector of {self.ids[row]!r} has length {length:.4g}, not 1. "
                    "Features.from_raw(...) takes raw vectors and normalises them."
                )

    @classmethod
    def from_raw(
        cls,
        ids: Sequence[str],
        raw: Float[np.ndarray, "image dim"],
        spec: Spec,
        *,
        labels: Sequence[str] | None = None,
    ) -> Features:
        """Normalise raw embeddings; InvalidInput names the first image whose vector is zero or not finite."""
        units, good = unit_rows(raw)
        if not good.all():
            row = int((~good).argmax())
            raise InvalidInput(f"{ids[row]!r} cannot be used: {why_unfit(raw[row])}. Leave it out.")
        return cls(tuple(ids), units, spec, None if labels is None else tuple(labels))

    def __len__(self) -> int:
        return len(self.ids)

    def select(self, which: Sequence[int] | Bool[np.ndarray, " n"] | Integer[np.ndarray, " n"]) -> Features:
        """The images of a boolean mask or of a list of positions, in that order."""
        array = np.asarray(which)
        if array.dtype == bool and array.shape != (len(self),):
            raise InvalidInput(f"The mask has shape {list(array.shape)}; expected [{len(self)}].")
        rows = np.flatnonzero(array) if array.dtype == bool else array.astype(np.intp, copy=False)
        labels = None if self.labels is None else tuple(self.labels[i] for i in rows)
        return Features(tuple(self.ids[i] for i in rows), self.vectors[rows], self.spec, labels)

    def save(self, folder: str | Path) -> None:
        """Write one folder, whole or not at all; a folder of features that stood there is replaced."""
        from featurelens.features.saved import save_features

        save_features(self, Path(folder))

    @classmethod
    def load(cls, folder: str | Path, *, layer: str | None = None) -> Features:
        """Read a saved folder, or the store of `extract` (`layer` picks one of several)."""
        from featurelens.features.saved import load_features

        return load_features(Path(folder), layer=layer)

    def to_npy(self, path: str | Path) -> None:
        """Write the vectors as `.npy`, and beside it a `.json` of the same name with all the rest."""
        from featurelens.features.tabular import to_npy

        to_npy(self, Path(path))

    @classmethod
    def from_npy(cls, path: str | Path) -> Features:
        """Read `.npy` with its `.json`; without one, ids are row numbers and the spec names the file."""
        from featurelens.features.tabular import from_npy

        return from_npy(Path(path))

    def to_parquet(self, path: str | Path) -> None:
        """Write columns id, label (if any) and vector (a list of float32); the spec is in the metadata."""
        from featurelens.features.tabular import to_parquet

        to_parquet(self, Path(path))

    @classmethod
    def from_parquet(cls, path: str | Path) -> Features:
        """Read what `to_parquet` wrote."""
        from featurelens.features.tabular import from_parquet

        return from_parquet(Path(path))

    def to_dataframe(self) -> Any:
        """A pandas DataFrame: index id, column label (if any), one column per number (f0, f1, ...)."""
        from featurelens.features.tabular import to_dataframe

        return to_dataframe(self)

    @classmethod
    def from_dataframe(cls, frame: Any, *, spec: Spec | None = None) -> Features:
        """The inverse of `to_dataframe`; `spec` is needed where the frame has lost its attributes."""
        from featurelens.features.tabular import from_dataframe

        return from_dataframe(frame, spec=spec)


def first_double(ids: Sequence[str]) -> str | None:
    """The first that occurs twice; None where all differ."""
    if len(set(ids)) == len(ids):
        return None
    seen: set[str] = set()
    for one in ids:
        if one in seen:
            return one
        seen.add(one)
    return None
