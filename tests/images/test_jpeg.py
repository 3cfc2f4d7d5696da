"""The fast path for JPEG: scaled decoding without a shift, close to exact, upright, and its refusals."""

from __future__ import annotations

import io
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from featurelens.errors import ImageError
from featurelens.images import jpeg
from featurelens.images.decode import decode
from featurelens.images.fit import Fit
from featurelens.images.resize import resize
from fixtures.scenes import saved, scene


@pytest.mark.parametrize(
    ("width", "height", "eighths"),
    [
        (500, 375, 8),
        (511, 900, 8),
        (512, 900, 4),
        (800, 600, 4),
        (1433, 1433, 4),
        (1434, 1434, 2),
        (4000, 3000, 1),
    ],
)
def test_scale_starts_at_twice_the_target(width: int, height: int, eighths: int) -> None:
    """The target is the short side before cropping: 224 / 0.875 = 256."""
    assert jpeg.scale(width, height, Fit()) == eighths


def test_without_a_fit_and_for_squash_both_sides_count() -> None:
    assert jpeg.scale(4000, 3000, None) == 8
    assert jpeg.scale(4000, 300, Fit(mode="squash", crop_pct=1.0)) == 8


def test_scaled_is_close_to_exact_on_photos(shared: Path) -> None:
    """A mean difference of about 1 of 255 levels: embeddings move less than with another filter."""
    photos = sorted((shared / "data").glob("clothing10/**/*.jpg"))[::40]
    for fit, limit in ((Fit(64, 64), 0.8), (Fit(128, 128), 1.3), (Fit(160, 160), 1.7)):
        apart = [
            _mean_apart(decode(p, fit=fit).pixels, decode(p, fit=fit, exact=True).pixels) for p in photos
        ]
        assert 0 < np.mean(apart) < limit, (fit, np.mean(apart))


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
@pytest.mark.parametrize(("rows", "cols"), [(801, 600), (607, 805), (1163, 775)])
def test_scaled_has_no_shift(rows: int, cols: int, subsampling: str) -> None:
    """Centres of gravity of bright spots, near all four edges, against the resizing of the full picture."""
    y, x = np.mgrid[0:rows, 0:cols]
    fit = Fit(64, 64, mode="squash", crop_pct=1.0)
    for row, col in product((0.12, 0.5, 0.93), (0.07, 0.5, 0.93)):
        spot = np.exp(-((y - row * rows) ** 2 + (x - col * cols) ** 2) / (2 * 20.0**2))
        pixels = np.stack([230 * spot, 90 * spot, 40 + 100 * spot], -1).astype(np.uint8)
        data = saved(pixels, "JPEG", quality=97, subsampling=subsampling)
        assert jpeg.scale(cols, rows, fit) < 8
        ours, exact = (_centre(decode(data, fit=fit, exact=e).pixels) for e in (False, True))
        assert np.abs(ours - exact).max() < 0.01  # pixels of the 64 x 64 result


def test_the_rounded_up_edge_would_be_a_shift() -> None:
    """Sabotage: taking the decoded width for the picture's width moves what lies at the right edge."""
    y, x = np.mgrid[0:601, 0:601]
    spot = (250 * np.exp(-((y - 300) ** 2 + (x - 560) ** 2) / 800)).astype(np.uint8)
    data = saved(np.repeat(spot[..., None], 3, 2), "JPEG", quality=97)
    fit = Fit(32, 32, mode="squash", crop_pct=1.0)
    scaled = jpeg.decode_scaled(data, 601, 601, grey=False, eighths=1)
    assert scaled is not None
    assert scaled.pixels.shape == (76, 76, 3)
    assert scaled.valid == (75.125, 75.125)
    wrong = resize(scaled.pixels, fit, size=(601, 601), valid=(0.0, 0.0, 76.0, 76.0))
    exact = decode(data, fit=fit, exact=True).pixels
    assert np.abs(_centre(wrong) - _centre(exact)).max() > 0.2


@pytest.mark.parametrize("turn", range(1, 9))
def test_scaled_and_turned_keeps_the_grid(turn: int) -> None:
    """All eight orientations of a picture with sides that no scale divides."""
    upright = Image.fromarray(scene(3, 803, 605))
    inverse = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Image.Transpose that undoes the orientation
    stored = upright if turn == 1 else upright.transpose(Image.Transpose(inverse[turn]))
    exif = Image.Exif()
    exif[0x0112] = turn
    data = saved(stored, "JPEG", quality=97, exif=exif)
    fit = Fit(96, 64, crop_pct=0.9)
    found = decode(data, fit=fit)
    assert (found.width, found.height) == (605, 803)
    plain = decode(np.asarray(upright), fit=fit).pixels
    assert _mean_apart(found.pixels, plain) < 1.5
    assert _mean_apart(np.roll(found.pixels, 1, axis=0), plain) > 3


def test_grey_is_grey_in_all_three_channels() -> None:
    grey = scene(4, 700, 700)[..., 0]
    pixels = decode(saved(grey, "JPEG"), fit=Fit()).pixels
    assert np.array_equal(pixels[..., 0], pixels[..., 1])
    assert np.array_equal(pixels[..., 0], pixels[..., 2])


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("filled", [False, True])
def test_a_file_with_a_lost_half_is_refused(mode: str, progressive: bool, filled: bool) -> None:
    """Pillow alone shows a grey or garbled lower half, without a complaint, because the end mark is there."""
    data = saved(Image.fromarray(scene(5, 300, 400)).convert(mode), "JPEG", progressive=progressive)
    lost = len(data) // 2
    half = data[: len(data) - lost] + (bytes(lost - 2) if filled else b"") + data[-2:]
    with Image.open(io.BytesIO(half)) as image:
        image.load()
    for exact in (False, True):
        with pytest.raises(ImageError, match="damaged"):
            decode(half, fit=Fit(), exact=exact)


def test_what_simplejpeg_refuses_and_pillow_forgives_is_read() -> None:
    """Stray bytes between the data and the end mark are a warning for libjpeg and an error for simplejpeg."""
    data = saved(scene(6, 200, 300), "JPEG")
    odd = data[:-2] + b"stray bytes" + data[-2:]
    assert jpeg.decode_scaled(odd, 300, 200, grey=False, eighths=8) is None
    assert np.array_equal(decode(odd, fit=Fit()).pixels, decode(odd, fit=Fit(), exact=False).pixels)
    assert _mean_apart(decode(odd, fit=Fit()).pixels, decode(data, fit=Fit()).pixels) < 0.3


def test_a_progressive_file_with_endless_passes_is_refused() -> None:
    data = saved(scene(7, 64, 64), "JPEG", progressive=True)
    start = data.rindex(b"\xff\xda")
    with pytest.raises(ImageError, match="500 passes"):
        decode(data[:-2] + data[start:-2] * 600 + data[-2:])


def test_a_sequential_file_may_hold_the_mark_of_a_pass_anywhere() -> None:
    """A thumbnail or a maker's note can contain the two bytes by chance; only progressive files count them."""
    data = saved(scene(8, 64, 64), "JPEG", comment=b"\xff\xda" * 600)
    assert decode(data).width == 64


def _mean_apart(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(int) - b).mean())


def _centre(pixels: np.ndarray) -> np.ndarray:
    weight = np.clip(pixels[..., 0].astype(float) - 12, 0, None)
    rows, cols = np.mgrid[0 : weight.shape[0], 0 : weight.shape[1]]
    return np.array([(weight * rows).sum(), (weight * cols).sum()]) / weight.sum()
