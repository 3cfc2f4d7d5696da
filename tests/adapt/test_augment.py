"""A batch's views against the slow twin, effect by effect; the images that come in stay as they are."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from featurelens.adapt import augment as room  # noqa: E402
from featurelens.adapt.augment import Augment  # noqa: E402
from oracles.views import augmented  # noqa: E402

STILL = Augment(
    area=(1.0, 1.0), turn=0, flip=0, brightness=0, contrast=0, saturation=0, hue=0, jitter=0, grey=0, blur=0
)
EFFECTS = {
    "crop and turn": {"area": (0.2, 0.9), "turn": 30.0, "flip": 0.5},
    "brightness": {"jitter": 0.7, "brightness": 0.5},
    "contrast": {"jitter": 0.7, "brightness": 0.3, "contrast": 0.6},
    "saturation": {"jitter": 0.7, "saturation": 0.6},
    "hue": {"jitter": 0.7, "hue": 0.2},
    "grey": {"grey": 0.5},
    "blur": {"blur": 0.6},
}
COARSE = torch.rand(9, 3, 20, 26, generator=torch.Generator().manual_seed(5)) * 255
IMAGES = torch.nn.functional.interpolate(COARSE, (40, 52), mode="bilinear").byte()


def apart(how: Augment) -> float:
    """The largest difference of a pixel, in [0, 1], over two sizes."""
    worst = 0.0
    for size in (24, 33):
        here = how(IMAGES, size, torch.Generator().manual_seed(size))
        there = augmented(how, IMAGES, size, torch.Generator().manual_seed(size))
        worst = max(worst, float((here.double() - there).abs().max()))
    return worst


@pytest.mark.parametrize("effect", EFFECTS)
def test_every_effect_is_that_of_the_slow_twin(effect: str) -> None:
    before = IMAGES.clone()
    assert apart(replace(STILL, **EFFECTS[effect])) < 5e-5
    assert torch.equal(IMAGES, before)


def test_all_effects_together_are_those_of_the_slow_twin() -> None:
    assert apart(Augment()) < 5e-5


def test_every_effect_changes_something() -> None:
    """So that twins which both do nothing don't agree unnoticed."""
    same = STILL(IMAGES, 24, torch.Generator().manual_seed(0))
    for effect, options in EFFECTS.items():
        other = replace(STILL, **options)(IMAGES, 24, torch.Generator().manual_seed(0))
        assert float((other - same).abs().max()) > 0.01, effect


def test_another_matrix_of_colours_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sabotage: with red and blue of the luminance exchanged grey and contrast no longer agree."""
    monkeypatch.setattr(room, "_YIQ", room._YIQ[:, [2, 1, 0]].contiguous())
    assert apart(replace(STILL, grey=0.5)) > 1e-2
    assert apart(replace(STILL, jitter=1.0, contrast=0.6)) > 1e-3


def test_a_shifted_grid_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sabotage: sampling at the corners of pixels instead of their middles."""
    crops = Augment._crops
    monkeypatch.setattr(Augment, "_crops", lambda *given: crops(*given) + 1 / given[2])
    assert apart(replace(STILL, **EFFECTS["crop and turn"])) > 1e-2
