"""Which rows teach and which test: by folder, by ratio, or in folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from featurelens.errors import InvalidInput
from featurelens.features.splits import drawn_to_test, share_of, split_names
from featurelens.shapes import Int64


@dataclass(frozen=True)
class Split:
    """Row numbers to learn from and to test on; they never overlap."""

    train: Int64[np.ndarray, "a"]
    test: Int64[np.ndarray, "b"]


def check_split(split: str) -> float | None:
    """The share that a word for a split gives, None for "folds" and "folder"; InvalidInput for others."""
    return share_of(split, ("folds", "folder"))


def by_ratio(codes: Int64[np.ndarray, "n"], *, test: float = 0.25, seed: int = 0) -> list[Split]:
    """One split that takes the share `test` of each class, at least one image where a class has two.

    Raises InvalidInput when `test` is not between 0 and 1.
    """
    if not 0 < test < 1:
        raise InvalidInput(f"The test share is {test}; give a number between 0 and 1.")
    chosen = drawn_to_test(codes, test, seed=seed)
    rest = np.setdiff1d(np.flatnonzero(codes >= 0), chosen)
    return [Split(rest.astype(np.int64), chosen)]


def in_folds(codes: Int64[np.ndarray, "n"], *, folds: int = 5, seed: int = 0) -> list[Split]:
    """Cross-validation: every labelled row is tested once, classes spread evenly over the folds.

    Raises InvalidInput for fewer than two folds or more folds than labelled rows.
    """
    known = np.flatnonzero(codes >= 0)
    if not 2 <= folds <= len(known):
        raise InvalidInput(f"{folds} folds of {len(known)} labelled images; choose from 2 to {len(known)}.")
    random = np.random.default_rng(seed)
    shuffled = random.permutation(known)
    dealt = shuffled[np.argsort(codes[shuffled], kind="stable")]
    fold = np.empty(len(codes), dtype=np.int64)
    fold[dealt] = np.arange(len(dealt)) % folds
    return [
        Split(known[fold[known] != f].astype(np.int64), known[fold[known] == f].astype(np.int64))
        for f in range(folds)
    ]


def by_folder(ids: Sequence[str], codes: Int64[np.ndarray, "n"]) -> list[Split]:
    """The split that the folders name: `train/...` against `test/...` or `val/...`, at any depth.

    Raises InvalidInput when the paths name no such folders.
    """
    side = split_names(ids)
    labelled = codes >= 0
    train, test = (np.flatnonzero(labelled & (side == name)).astype(np.int64) for name in ("train", "test"))
    if not len(train) or not len(test):
        raise InvalidInput(
            f"{len(train)} images lie under a train folder and {len(test)} under test or val; a split by folder "
            "needs both. Use a ratio or folds instead."
        )
    return [Split(train, test)]
