"""Views against torchvision's affine transform, and the random stream that each picture has of its own."""

from __future__ import annotations

import math

import pytest

from featurelens.errors import InvalidInput

torch = pytest.importorskip("torch")

from torchvision.transforms.v2 import functional as vision  # noqa: E402

from featurelens.see.streams import stream  # noqa: E402
from featurelens.see.transforms import STILL, Views, look  # noqa: E402

PICTURE = torch.rand(1, 3, 40, 40, generator=stream("picture"))
INSIDE = (..., slice(10, 30), slice(10, 30))


def matrix(zoom: float = 1.0, turn: float = 0.0, right: float = 0.0, down: float = 0.0) -> torch.Tensor:
    cos, sin = zoom * math.cos(turn), zoom * math.sin(turn)
    return torch.tensor([[[[cos, -sin, right], [sin, cos, down]]]])


def test_a_still_view_is_the_picture_itself() -> None:
    still = STILL.matrices([stream(0)], steps=1)[:, 0]
    torch.testing.assert_close(look(PICTURE, still), PICTURE, rtol=0, atol=1e-5)


def test_a_shift_by_whole_pixels_moves_them() -> None:
    moved = look(PICTURE, matrix(right=2 * 3 / 40, down=-2 * 5 / 40))
    expected = PICTURE.roll((5, -3), dims=(2, 3))
    torch.testing.assert_close(moved[INSIDE], expected[INSIDE], rtol=0, atol=1e-4)


@pytest.mark.parametrize(("degrees", "scale"), [(8.0, 1.0), (-12.0, 1.1), (3.0, 0.95)])
def test_turns_and_scales_agree_with_torchvision(degrees: float, scale: float) -> None:
    view = look(PICTURE, matrix(1 / scale, math.radians(degrees)))
    expected = vision.affine(
        PICTURE, -degrees, [0, 0], scale, [0.0, 0.0], interpolation=vision.InterpolationMode.BILINEAR
    )
    torch.testing.assert_close(view[INSIDE], expected[INSIDE], rtol=0, atol=1e-4)


def test_a_turn_does_not_shear_a_picture_that_is_not_square() -> None:
    wide = torch.rand(1, 3, 40, 60, generator=stream("wide"))
    view = look(wide, matrix(turn=math.radians(10)))
    expected = vision.affine(
        wide, -10, [0, 0], 1.0, [0.0, 0.0], interpolation=vision.InterpolationMode.BILINEAR
    )
    torch.testing.assert_close(view[..., 12:28, 15:45], expected[..., 12:28, 15:45], rtol=0, atol=1e-4)


def test_beyond_the_border_it_goes_on_mirrored() -> None:
    moved = look(PICTURE, matrix(right=2 * 4 / 40))
    torch.testing.assert_close(moved[..., 36:], PICTURE[..., 36:].flip(-1), rtol=0, atol=1e-4)


def test_values_stay_in_their_ranges_and_crops_inside() -> None:
    views = Views(jitter=0.1, scale=(0.8, 1.25), rotate=20, count=3)
    made = views.matrices([stream(i) for i in range(4)], steps=50)
    assert made.shape == (4, 50, 3, 2, 3)
    zoom = made[..., 0, :2].norm(dim=-1)
    turn = torch.atan2(made[..., 1, 0], made[..., 0, 0]).rad2deg()
    assert 0.8 <= float(zoom.min()) < 0.83
    assert 1.2 < float(zoom.max()) <= 1.2501
    assert 19 < float(turn.abs().max()) <= 20
    assert float(turn.min()) < -19
    assert 0.19 < float(made[..., 2].abs().max()) <= 0.2
    crops = Views(jitter=0, scale=(1, 1), rotate=0, crop=(0.3, 0.6)).matrices([stream(0)], steps=300)
    reach = crops[..., 0, 0] + crops[..., 2].abs().amax(-1)
    assert 0.9 < float(reach.max()) <= 1 + 1e-6


def test_each_picture_has_its_own_stream_whatever_its_neighbours() -> None:
    alone = Views().matrices([stream(0, "layer3:42")], steps=5)
    among = Views().matrices([stream(0, "layer3:7"), stream(0, "layer3:42")], steps=5)
    assert torch.equal(alone[0], among[1])
    assert not torch.allclose(among[0], among[1])
    assert not torch.allclose(alone, Views().matrices([stream(1, "layer3:42")], steps=5))


@pytest.mark.parametrize(
    "wrong", [{"scale": (1.1, 0.9)}, {"crop": (0.0, 1.0)}, {"crop": (0.5, 1.5)}, {"count": 0}, {"jitter": -1}]
)
def test_views_that_cannot_be(wrong: dict) -> None:
    with pytest.raises(InvalidInput, match="makes no view"):
        Views(**wrong)
