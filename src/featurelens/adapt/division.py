"""Which images teach and which test: by folders, or the same share of every class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from featurelens.errors import InvalidInput
from featurelens.features.splits import drawn_to_test, share_of, split_names
from featurelens.shapes import Int64

_WORDS = ("auto", "folder", "none")
DEFAULT_SHARE = 0.2


@dataclass(frozen=True, eq=False)
class Division:
    """Row numbers that teach and row numbers that test, and by what rule."""

    teach: Int64[np.ndarray, "a"]
    test: Int64[np.ndarray, "b"]
    rule: str


def codes_of(
    labels: Sequence[str], *, folder: str = "the images", what: str = "Fine-tuning"
) -> tuple[Int64[np.ndarray, "n"], tuple[str, ...]]:
    """Class numbers (-1: no label) and the class names in their order; InvalidInput below two classes.

    >>> codes_of(["b", "a", "", "b"])[1]
    ('a', 'b')
    """
    names = tuple(sorted({label for label in labels if label}))
    if len(names) < 2:
        found = f"all have the label '{names[0]}'" if names else "none has a label"
        raise InvalidInput(
            f"{what} needs two classes or more; of {len(labels)} readable images in {folder} {found}. Put each "
            "class into a folder of its own (photos/cat/1.jpg), or write metadata.csv with the columns file_name (as seen "
            "from its own folder) and label."
        )
    number = {name: i for i, name in enumerate(names)}
    return np.array([number.get(label, -1) for label in labels], dtype=np.int64), names


def divide(
    ids: Sequence[str],
    codes: Int64[np.ndarray, "n"],
    names: Sequence[str],
    *,
    split: str = "auto",
    seed: int = 0,
) -> Division:
    """Divide the labelled rows. `split`: "folder" (train/ against val/ or test/), a share to test such as "0.2",
    "none" (all teach), "auto": folder where there are such folders, else 0.2.

    By share, each class gives its part, rounded, at least one and never its last image. Raises InvalidInput
    for a class without a teaching image, and for a split that cannot be made.
    """
    share = share_of(split, _WORDS) or DEFAULT_SHARE
    if split == "none":
        known = np.flatnonzero(codes >= 0).astype(np.int64)
        return _checked(Division(known, known[:0], "none: all images teach"), codes, names)
    sides = split_names(ids)
    both = bool((sides == "train").any() and (sides == "test").any())
    if split == "folder" or (split == "auto" and both):
        if not both:
            raise InvalidInput(
                "split='folder' needs images under train/ and under val/ or test/; there are "
                f"{int((sides == 'train').sum())} and {int((sides == 'test').sum())}. Give a share such as 0.2."
            )
        teach, test = (
            np.flatnonzero((codes >= 0) & (sides == s)).astype(np.int64) for s in ("train", "test")
        )
        return _checked(Division(teach, test, "folders train against val or test"), codes, names)
    test = drawn_to_test(codes, share, seed=seed)
    teach = np.setdiff1d(np.flatnonzero(codes >= 0), test).astype(np.int64)
    return _checked(
        Division(teach, test, f"{share:g} of each class to test, never its last image, seed {seed}"),
        codes,
        names,
    )


def _checked(found: Division, codes: Int64[np.ndarray, "n"], names: Sequence[str]) -> Division:
    counts = np.bincount(codes[found.teach], minlength=len(names))
    empty = [name for name, count in zip(names, counts, strict=True) if not count]
    if empty:
        raise InvalidInput(
            f"{len(empty)} of {len(names)} classes have no image to learn from: {', '.join(empty[:5])} "
            f"(split: {found.rule}). Add images, or take the class away."
        )
    return found
