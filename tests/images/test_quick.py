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


def apart(one: Image.Image, other: Image.Image) -> float:
    """The mean distance in levels."""
    return float(np.abs(np.asarray(one, np.float32) - np.asarray(other, np.float32)).mean())


@pytest.mark.skipif(not quick.QUICK, reason="cykooz_resizer has no wheel for this machine")
@pytest.mark.parametrize("method", ["nearest", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_both_ways_give_the_same_picture(method, mode: str) -> None:
    image = Image.fromarray(scene(3, 90, 120)).convert(mode)
    for box in BOXES:
        for size in ((64, 48), (300, 200), (1, 1)):
            fast, slow = (resized_part(image, size, method, box, pillow=p) for p in (False, True))
            assert (fast.mode, fast.size) == (mode, size)
            assert apart(fast, slow) < 0.5
    shifted = resized_part(image, (64, 48), method, (2.0, 0.0, 120.0, 90.0), pillow=True)
    assert apart(resized_part(image, (64, 48), method, BOXES[0]), shifted) > 1, "sabotage: another crop"


def test_without_it_pillow_does_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    photo = scene(1, 375, 500)
    fast = decode(photo, fit=Fit()).pixels
    monkeypatch.setattr(quick, "cykooz", None)
    slow = decode(photo, fit=Fit()).pixels
    assert np.abs(fast.astype(int) - slow.astype(int)).mean() < 0.5


def test_a_picture_too_large_to_copy_goes_to_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    image = Image.fromarray(scene(3, 90, 120))
    monkeypatch.setattr(quick, "_COPIED", image.width * image.height - 1)
    one, other = (resized_part(image, (64, 48), "bicubic", BOXES[1], pillow=p) for p in (False, True))
    assert np.array_equal(np.asarray(one), np.asarray(other))
