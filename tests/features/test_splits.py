"""Both who learns and who assesses divides images here, so that one word and one seed mean the same rows to both."""

from __future__ import annotations

import numpy as np
import pytest

from featurelens.adapt.division import divide
from featurelens.assess.splits import by_folder, by_ratio
from featurelens.errors import InvalidInput
from featurelens.features.splits import drawn_to_test, share_of

CODES = np.array([0] * 9 + [1] * 4 + [2] + [-1] * 3)
NAMES = ("a", "b", "c")


def test_the_same_share_and_seed_take_the_same_images() -> None:
    ids = [f"{i}.jpg" for i in range(len(CODES))]
    learnt, assessed = divide(ids, CODES, NAMES, split="0.3", seed=4), by_ratio(CODES, test=0.3, seed=4)[0]
    assert learnt.test.tolist() == assessed.test.tolist() == drawn_to_test(CODES, 0.3, seed=4).tolist()
    assert learnt.teach.tolist() == assessed.train.tolist()
    assert np.bincount(CODES[learnt.test], minlength=3).tolist() == [3, 1, 0], "never the last of a class"


def test_the_same_folders_take_the_same_images() -> None:
    ids = ["Train/a/1.jpg", "train/b/1.jpg", "train\\c\\1.jpg", "x/VAL/a/2.jpg", "dev/b/2.jpg", "test.jpg"]
    codes = np.array([0, 1, 2, 0, 1, 1])
    learnt, assessed = divide(ids, codes, NAMES, split="folder"), by_folder(ids, codes)[0]
    assert learnt.teach.tolist() == assessed.train.tolist() == [0, 1, 2]
    assert learnt.test.tolist() == assessed.test.tolist() == [3, 4]


@pytest.mark.parametrize("split", ["0", "1", "-0.1", "nan", "half", ""])
def test_what_is_no_split_is_told(split: str) -> None:
    with pytest.raises(InvalidInput, match=f"split is '{split}'; give folds, folder, or a share"):
        share_of(split, ("folds", "folder"))
