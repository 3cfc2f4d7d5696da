"""Laying one picture upon another: copies are found whatever was done to them, strangers are not."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from featurelens.search import alignment
from featurelens.search.alignment import GRID, RATIOS, Laid, aligned, places
from featurelens.search.duplicates import THRESHOLD
from featurelens.search.prints import print_of
from fixtures.copied import KINDS, changed, photo
from oracles.overlay import slid


def laid(image: Image.Image) -> Laid:
    return Laid(print_of(np.asarray(image)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_agrees_with_its_original(kind):
    original = photo(1)
    found = aligned(laid(original), laid(changed(original, kind)), THRESHOLD)
    assert found is not None
    assert found.agreement > THRESHOLD + 0.1
    assert found.mirrored == (kind == "mirrored")
    if "crop" in kind:
        cut = {"crop": (0.1, 0.15, 0.85, 0.95), "small crop": (0.2, 0.1, 0.8, 0.7)}[kind]
        assert found.inner == 1
        assert found.box == pytest.approx(cut, abs=0.02)


def test_it_does_not_matter_which_comes_first():
    original = photo(2)
    copy = changed(original, "small crop")
    one, other = (aligned(laid(a), laid(b), THRESHOLD) for a, b in ((original, copy), (copy, original)))
    assert one is not None
    assert other is not None
    assert (one.inner, other.inner) == (1, 0)
    assert one.box == pytest.approx(other.box)


def test_strangers_do_not_agree():
    pictures = [laid(photo(seed)) for seed in range(6)]
    for i, one in enumerate(pictures):
        for other in pictures[:i]:
            assert aligned(one, other, THRESHOLD - 0.2) is None


def test_two_things_before_one_background_are_two_pictures():
    background, first, second = photo(3), photo(4, 150, 150), photo(5, 150, 150)
    pictures = []
    for thing in (first, second):
        whole = background.copy()
        whole.paste(thing, (85, 45))
        pictures.append(laid(whole))
    assert aligned(*pictures, THRESHOLD) is None


def outlined(seed: int) -> Laid:
    """A dark thing of always the same outline on a light ground; cloth and floor have a fine texture of their own."""
    random = np.random.default_rng(seed)
    row, col = np.mgrid[0:400, 0:300]
    thing = (np.abs(row - 200) < 150) & (np.abs(col - 150) < 40 + row / 8)
    texture = random.normal(0, 1, (2, 100, 75)).repeat(4, 1).repeat(4, 2)
    return laid(
        Image.fromarray((np.where(thing, 60, 190) + 12 * texture[thing * 1, row, col]).astype(np.uint8))
    )


def test_two_things_of_one_outline_are_two_pictures():
    assert aligned(outlined(1), outlined(2), THRESHOLD) is None
    assert aligned(outlined(1), outlined(1), THRESHOLD) is not None


def test_sabotage_without_the_closer_look_one_outline_is_one_picture(monkeypatch):
    monkeypatch.setattr(alignment, "_closer", lambda lying: 1.0)
    assert aligned(outlined(1), outlined(2), THRESHOLD) is not None


def test_the_correlation_is_that_of_sliding_one_over_the_other():
    whole, part = laid(photo(6)), laid(changed(photo(6), "crop"))
    best = places(whole, part)[0]
    assert best.inner == 1
    at = RATIOS.index(best.ratio)
    small = np.fft.irfft2(np.conj(part.parts[at]), (GRID, GRID))
    rows, cols = part.sizes[at]
    coarse = np.fft.irfft2(whole.spectrum, (GRID, GRID))[: whole.shape[0], : whole.shape[1]]
    scores = slid(coarse, small[:rows, :cols], GRID)
    assert best.score == pytest.approx(scores.max(), abs=1e-4)
    row, col = divmod(int(scores.argmax()), GRID)
    assert (best.row * whole.shape[0], best.col * whole.shape[1]) == pytest.approx((row, col), abs=1e-6)


def test_sabotage_without_the_smaller_sizes_a_crop_is_not_found(monkeypatch):
    monkeypatch.setattr(alignment, "RATIOS", (1.0,))
    original = photo(1)
    assert aligned(laid(original), laid(changed(original, "small crop")), THRESHOLD) is None


def test_flat_pictures_are_no_copies_of_each_other():
    grey, white = (laid(Image.new("RGB", (80, 60), colour)) for colour in ("grey", "white"))
    assert aligned(grey, white, THRESHOLD) is None
