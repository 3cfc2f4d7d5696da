"""How labelled images are divided into those that teach and those that test: by their folders, or by a share of each class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from featurelens.errors import InvalidInput
from featurelens.features.labels import SPLITS
from featurelens.shapes import Int64

_TRAIN = frozenset({"train", "training"})


def share_of(split: str, words: Sequence[str]) -> float | None:
    """The share to test that `split` gives, such as 0.2 of "0.2"; None for one of `words`, InvalidInput for others.

    >>> share_of("0.2", ["folder"]), share_of("folder", ["folder"])
    (0.2, None)
    """
    if split in words:
        return None
    try:
        share = float(split)
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise InvalidInput(
            f"split is '{split}'; give {', '.join(words)}, or a share between 0 and 1 such as 0.2."
        )
    return share


def split_names(ids: Sequence[str]) -> np.ndarray:
    """'train', 'test' or '' for each name, from the outermost of its folders that is named like a split.

    >>> split_names(["train/cat/1.jpg", "cats/VAL/2.jpg", "cat/test.jpg"]).tolist()
    ['train', 'test', '']
    """

    def side(name: str) -> str:
        folders = (folder.lower() for folder in name.replace("\\", "/").split("/")[:-1])
        found = next((folder for folder in folders if folder in SPLITS), None)
        return "" if found is None else "train" if found in _TRAIN else "test"

    return np.array([side(name) for name in ids], dtype="U5")


def drawn_to_test(codes: Int64[np.ndarray, "n"], share: float, *, seed: int) -> Int64[np.ndarray, "test"]:
    """`share` of the rows of each class (-1: none), drawn at random, rounded; at least one and never the last.

    >>> len(drawn_to_test(np.array([0] * 10 + [1] * 2 + [2, -1]), 0.2, seed=0))
    3
    """
    random, taken = np.random.default_rng(seed), [np.array([], dtype=np.int64)]
    for code in np.unique(codes[codes >= 0]):
        rows = random.permutation(np.flatnonzero(codes == code))
        taken.append(rows[: min(len(rows) - 1, max(1, round(share * len(rows))))])
    return np.sort(np.concatenate(taken)).astype(np.int64)
