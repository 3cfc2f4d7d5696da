"""`exact=True` against torchvision's and timm's own transforms, bit for bit; the default beside it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from featurelens.images.decode import decode
from featurelens.images.fit import Fit
from featurelens.images.resize import resize, resize_exactly, resized_size
from fixtures.scenes import saved, scene

pytest.importorskip("timm")
from timm.data import create_transform
from torchvision.transforms import v2
from torchvision.transforms.functional import InterpolationMode

SHAPES = [
    (375, 500),
    (500, 375),
    (256, 256),
    (224, 224),
    (90, 80),
    (333, 1000),
    (257, 341),
    (1, 700),
    (1201, 901),
]
FITS = [
    Fit(),
    Fit(crop_pct=1.0, interpolation="bilinear"),
    Fit(299, 299, crop_pct=0.95),
    Fit(64, 64, crop_pct=1.15),
    Fit(192, 128, crop_pct=0.9),
    Fit(128, 224, crop_pct=0.875, interpolation="bilinear"),
    Fit(mode="squash", crop_pct=1.0),
    Fit(160, 160, mode="squash", crop_pct=0.9),
    Fit(100, 180, mode="squash", crop_pct=1.0, interpolation="bilinear"),
]
METHODS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def by_timm(image: Image.Image, fit: Fit) -> np.ndarray:
    transform = create_transform(
        (3, fit.rows, fit.cols),
        interpolation=fit.interpolation,
        crop_pct=fit.crop_pct,
        crop_mode="squash" if fit.mode == "squash" else "center",
        normalize=False,
    )
    return transform(image).permute(1, 2, 0).numpy()


@pytest.mark.parametrize("fit", FITS, ids=str)
def test_exact_is_timms_evaluation_transform(fit: Fit) -> None:
    for seed, (rows, cols) in enumerate(SHAPES):
        data = saved(scene(seed, rows, cols), "PNG", compress_level=1)
        ours = decode(data, fit=fit, exact=True).pixels
        assert np.array_equal(ours, by_timm(Image.open(io.BytesIO(data)), fit)), (rows, cols)


@pytest.mark.parametrize(("crop", "resized"), [(224, 256), (224, 232), (224, 236), (480, 482), (299, 342)])
def test_exact_is_torchvisions_resize_and_crop(crop: int, resized: int) -> None:
    """The presets of torchvision's weights state two sizes; their quotient is the `crop_pct`."""
    preset = v2.Compose(
        [v2.Resize(resized, InterpolationMode.BILINEAR), v2.CenterCrop(crop), v2.PILToTensor()]
    )
    fit = Fit(crop, crop, crop_pct=crop / resized, interpolation="bilinear")
    for seed, (rows, cols) in enumerate(SHAPES[:4]):
        pixels = scene(seed, rows, cols)
        expected = preset(Image.fromarray(pixels)).permute(1, 2, 0).numpy()
        assert np.array_equal(decode(pixels, fit=fit, exact=True).pixels, expected)


def test_every_pair_of_sizes_survives_the_quotient() -> None:
    """crop / (crop / resized) misses `resized` by a rounding error for thousands of pairs."""
    for crop in range(32, 400, 3):
        for resized in range(crop, 520):
            assert resized_size(1000, 1000, Fit(crop, crop, crop_pct=crop / resized)) == (resized, resized)


def test_exact_on_real_photos(shared: Path) -> None:
    photos = sorted((shared / "data").glob("clothing10/**/*.jpg"))[::100]
    photos += sorted((shared / "data").glob("flowers5/**/*.jpg"))[::60]
    assert len(photos) > 10
    for path in photos:
        with Image.open(path) as image:
            expected = by_timm(image.convert("RGB"), Fit())
        assert np.array_equal(decode(path, fit=Fit(), exact=True).pixels, expected), path.name


def test_the_default_is_as_right_as_exact_where_nothing_is_scaled(shared: Path) -> None:
    """Rows or columns first, and whole numbers in between: both lie as far from what floats give."""
    photos = sorted((shared / "data").glob("clothing10/**/*.jpg"))[::50]
    for fit in (Fit(), Fit(128, 128, crop_pct=1.0, interpolation="bilinear")):
        quick, exact, apart, shifted = [], [], [], []
        for path in photos:
            with Image.open(path) as image:
                rgb = image.convert("RGB")
            right = in_floats(rgb, fit)
            one = resize(np.asarray(rgb), fit).astype(np.float32)
            other = np.asarray(resize_exactly(rgb, fit), np.float32)
            for errors, pixels, wanted in (
                (quick, one, right),
                (exact, other, right),
                (apart, one, other),
                (shifted, one[:, 1:], right[:, :-1]),
            ):
                errors.append(_apart(pixels, wanted))
        means = [np.mean([mean for mean, _ in errors]) for errors in (quick, exact, apart, shifted)]
        assert means[0] <= 1.02 * means[1] < 0.3
        assert means[2] < 0.3
        assert max(worst for _, worst in apart) <= 12
        assert means[3] > 1, "sabotage: a shift by one pixel"


def in_floats(image: Image.Image, fit: Fit) -> np.ndarray:
    """Pillow's resizing without whole numbers in between, cut by the rule of torchvision."""
    size = resized_size(*image.size, fit)
    planes = [plane.convert("F").resize(size, METHODS[fit.interpolation]) for plane in image.split()]
    left, top = (round((n - side) / 2) for n, side in zip(size, (fit.cols, fit.rows), strict=True))
    whole = np.stack([np.asarray(plane) for plane in planes], 2)
    return whole[top : top + fit.rows, left : left + fit.cols].clip(0, 255)


def test_full_size_equals_pillow_for_jpeg(shared: Path) -> None:
    """simplejpeg and Pillow carry the same decoder: not one value differs."""
    for path in sorted((shared / "data").glob("flowers5/**/*.jpg"))[::40]:
        with Image.open(path) as image:
            assert np.array_equal(decode(path).pixels, np.asarray(image.convert("RGB")))


def test_a_wrong_crop_or_filter_would_be_seen() -> None:
    """Sabotage: the oracle tells a shifted crop and another filter from the right ones."""
    image = Image.fromarray(scene(1, 375, 500))
    right = by_timm(image, Fit())
    shifted = image.resize((341, 256), Image.Resampling.BICUBIC).crop((59, 16, 283, 240))
    assert not np.array_equal(np.asarray(shifted), right)
    assert not np.array_equal(decode(image, fit=Fit(interpolation="lanczos"), exact=True).pixels, right)


def test_a_very_long_picture_is_cut_before_it_is_enlarged() -> None:
    """60,000 x 1 pixels at 256 for the short side would be four gigapixels."""
    line = np.zeros((1, 60_000, 3), np.uint8)
    line[:, 30_000:] = 255
    for exact in (False, True):
        assert decode(line, fit=Fit(), exact=exact).pixels.shape == (224, 224, 3)


def _apart(a: np.ndarray, b: np.ndarray) -> tuple[float, int]:
    distance = np.abs(a.astype(int) - b)
    return float(distance.mean()), int(distance.max())
