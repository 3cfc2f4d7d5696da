"""Resizing by cykooz_resizer and by Pillow: the same pictures, for every filter, mode and crop."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from featurelens.images import quick
from featurelens.images.decode import decode
from featurelens.images.fit import Fit
from featurelens.images.quick import resized_part
from fixtures.scenes import scene

BOXES = [(0.0, 0.0, 120.0, 90.0), (7.3, 0.0, 100.9, 90.0), (50.0, 40.0, 51.5, 41.0)]


@pytest.mark.skipif(not quick.QUICK, reason="cykooz_resizer has no wheel for this machine")
@pytest.mark.parametrize("method", ["nearest", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_both_ways_give_the_same_picture(method, mode: str) -> None:
    image = Image.fromarray(scene(3, 90, 120)).convert(mode)
    for box in BOXES:
        for size in ((64, 48), (300, 200), (1, 1)):
            slow = image.resize(size, quick.PILLOW[method], box=box)
            assert apart(resized_part(np.asarray(image), size, method, box), slow) < 0.5
    shifted = image.resize((64, 48), quick.PILLOW[method], box=(2.0, 0.0, 120.0, 90.0))
    assert apart(resized_part(np.asarray(image), (64, 48), method, BOXES[0]), shifted) > 1, "sabotage"


def apart(one: np.ndarray, other: Image.Image) -> float:
    """The mean distance in levels."""
    right = np.asarray(other, np.float32)
    assert one.shape == right.shape
    return float(np.abs(one - right).mean())


def test_without_it_pillow_does_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    photo = scene(1, 375, 500)
    fast = decode(photo, fit=Fit()).pixels
    monkeypatch.setattr(quick, "cykooz", None)
    slow = decode(photo, fit=Fit()).pixels
    assert np.abs(fast.astype(int) - slow.astype(int)).mean() < 0.5


def test_a_picture_too_large_to_copy_goes_to_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    image = Image.fromarray(scene(3, 90, 120))
    monkeypatch.setattr(quick, "_COPIED", image.width * image.height - 1)
    slow = image.resize((64, 48), Image.Resampling.BICUBIC, box=BOXES[1])
    assert np.array_equal(resized_part(np.asarray(image), (64, 48), "bicubic", BOXES[1]), np.asarray(slow))
