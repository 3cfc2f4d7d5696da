"""The arrays that measures take: checked features, unit rows, labels as codes, rows in bounded blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from featurelens.errors import InvalidInput
from featurelens.shapes import Bool, Float, Int64, Shaped

Labels = Sequence[Any] | Shaped[np.ndarray, "n"]
BLOCK_BYTES = 32 * 2**20
"""Size of the largest temporary block; measures hold two or three of these besides their input."""
_CLOSE = 1e-3
"""Products of float32 rows are wrong by some 1e-7: of squared distances like this one, by some 1e-4."""


@dataclass(frozen=True)
class Classes:
    """Labels as numbers: `codes[i]` indexes `names`, -1 where image i has no label."""

    codes: Int64[np.ndarray, "n"]
    names: tuple[str, ...]

    @property
    def known(self) -> Bool[np.ndarray, "n"]:
        return self.codes >= 0

    @property
    def counts(self) -> Int64[np.ndarray, "classes"]:
        return np.bincount(self.codes[self.known], minlength=len(self.names)).astype(np.int64)


def encode(labels: Labels, n: int) -> Classes:
    """Number the classes in sorted order; None, NaN, NA and the empty string mean that the label is missing.

    Raises InvalidInput when there is not one label per row.
    """
    if isinstance(labels, np.ndarray) and labels.dtype.kind in "iu" and labels.shape == (n,):
        values, numbers = np.unique(labels, return_inverse=True)
        return Classes(numbers.astype(np.int64), tuple(map(str, values.tolist())))
    if isinstance(labels, np.ndarray) and labels.ndim != 1:
        raise InvalidInput(f"labels must be one name or number per row, not an array {list(labels.shape)}.")
    given = labels.tolist() if isinstance(labels, np.ndarray) else list(labels)
    if len(given) != n:
        raise InvalidInput(f"There are {len(given)} labels for {n} feature rows; give one label per row.")
    texts = [None if _missing(label) else str(label) for label in given]
    names = tuple(sorted({text for text in texts if text is not None}))
    number = {name: code for code, name in enumerate(names)}
    codes = np.array([-1 if text is None else number[text] for text in texts], dtype=np.int64)
    return Classes(codes, names)


def _missing(label: Any) -> bool:
    try:
        return label is None or (isinstance(label, str) and not label) or bool(label != label)
    except TypeError:  # pandas' NA: whether it differs from itself is NA, too
        return True


def checked(features: Float[np.ndarray, "n d"], *, name: str = "features") -> Float[np.ndarray, "n d"]:
    """The features as they are, after checking that they are a table of finite numbers."""
    check_table(features, name=name)
    if not np.isfinite(features.sum(dtype=np.float64)):
        bad = np.flatnonzero(~np.isfinite(features).all(axis=1))
        if bad.size:
            raise InvalidInput(
                f"{name} holds NaN or infinity in {bad.size} of {len(features)} rows (first: row {bad[0]}). "
                "Leave these rows out or extract them again."
            )
    return features


def check_table(features: Float[np.ndarray, "n d"], *, name: str = "features") -> None:
    """InvalidInput unless the features are a table of floats; their values are not looked at."""
    if not isinstance(features, np.ndarray):
        raise InvalidInput(f"{name} must be a NumPy array [rows, dimensions], not {type(features).__name__}.")
    if features.ndim != 2 or not np.issubdtype(features.dtype, np.floating):
        raise InvalidInput(
            f"{name} must be a float array [rows, dimensions], not {features.dtype} {list(features.shape)}."
        )


def unit(features: Float[np.ndarray, "n d"], dtype: type = np.float64) -> Float[np.ndarray, "n d"]:
    """Rows scaled to length one; a row of zeros stays zero, as scikit-learn's `normalize` does."""
    rows = checked(features).astype(dtype)
    # by its largest value first: the squares of values below 1e-19 would be none in float32
    largest = np.abs(rows).max(axis=1, initial=0)
    largest[largest == 0] = 1
    rows /= largest[:, None]
    length = np.sqrt(np.einsum("nd,nd->n", rows, rows))
    length[length == 0] = 1
    rows /= length[:, None]
    return rows


def comparable(features: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    """Unit rows to compare by their products: in float32, or in float64 where they lie so close together that
    float32 would round away what tells them apart."""
    rows = unit(features, np.float32)
    mean = rows.mean(axis=0, dtype=np.float64)
    scatter = 1 - mean @ mean  # of unit rows this is the mean squared distance from their mean
    return rows if scatter > _CLOSE else unit(features)


def blocks(n: int, row_bytes: int, *, budget: int = BLOCK_BYTES) -> Iterator[slice]:
    """Slices over n rows such that one block of `row_bytes` per row stays within the budget."""
    step = max(1, budget // max(1, row_bytes))
    for start in range(0, n, step):
        yield slice(start, min(n, start + step))
