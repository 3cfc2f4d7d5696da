"""Every pixel type as 8-bit RGB: closed forms, and other programs' readings as oracles."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.color import lab2rgb

from featurelens.errors import ImageError
from featurelens.images.decode import decode
from fixtures.scenes import saved, scene

RAMP = np.linspace(0, 65535, 256 * 32).astype(np.uint16).reshape(64, 128)


def grey(data: bytes) -> np.ndarray:
    pixels = decode(data).pixels
    assert np.array_equal(pixels[..., 0], pixels[..., 1])
    assert np.array_equal(pixels[..., 0], pixels[..., 2])
    return pixels[..., 0].astype(int)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_16_bit_grey_is_scaled_not_clipped(kind: str) -> None:
    assert np.abs(grey(saved(RAMP, kind)) - RAMP / 257).max() <= 0.5


def test_pillows_own_conversion_would_clip() -> None:
    """Sabotage: `convert("L")` on 16 bits gives white for nearly every value."""
    with Image.open(io.BytesIO(saved(RAMP, "TIFF"))) as image:
        clipped = np.asarray(image.convert("L")).astype(int)
    assert np.abs(clipped - RAMP / 257).max() > 200


def test_16_bit_colour_png_keeps_the_high_byte() -> None:
    rgb = _png_rgb16(np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1]], -1))
    expected = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1]], -1) / 257
    assert np.abs(decode(rgb).pixels - expected).max() < 1.01


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0, 255), (0, 65535)])
def test_float_tiff_of_a_known_range_is_scaled_by_that_range(low: float, high: float) -> None:
    levels = np.linspace(low, high, 64 * 32, dtype=np.float32).reshape(32, 64)
    assert np.abs(grey(saved(levels, "TIFF")) - levels * (255 / high)).max() <= 0.51


def test_float_of_any_other_range_is_stretched_and_survives_nan() -> None:
    levels = np.linspace(-3000, 1500, 2048, dtype=np.float32).reshape(32, 64)
    expected = (levels + 3000) * (255 / 4500)
    levels[3, 5], levels[4, 5], levels[5, 5] = np.nan, np.inf, -np.inf
    found = grey(saved(levels, "TIFF"))
    assert [found[3, 5], found[4, 5], found[5, 5]] == [0, 255, 0]
    found[3:6, 5] = expected[3:6, 5]
    assert np.abs(found - expected).max() <= 1


def test_integers_of_32_bits_and_constant_pictures() -> None:
    levels = np.arange(2048, dtype=np.int32).reshape(32, 64) * 30
    assert np.abs(grey(saved(levels, "TIFF")) - levels / 257).max() <= 0.51
    assert grey(saved(np.full((8, 8), -7.5, np.float32), "TIFF")).max() == 0


def test_transparency_lies_on_white() -> None:
    colour, alpha = scene(1, 32, 48), np.linspace(0, 255, 32 * 48).astype(np.uint8).reshape(32, 48)
    share = alpha[..., None] / 255
    expected = colour * share + 255 * (1 - share)
    for kind in ("PNG", "WEBP", "TIFF"):
        options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
        found = decode(saved(np.dstack([colour, alpha]), kind, **options)).pixels
        assert np.abs(found - expected).max() <= 1, kind


def test_grey_with_alpha_and_palette_with_a_transparent_colour() -> None:
    level, alpha = scene(2, 32, 48)[..., 0], np.full((32, 48), 51, np.uint8)
    both = Image.merge("LA", [Image.fromarray(level), Image.fromarray(alpha)])
    assert np.abs(grey(saved(both, "PNG")) - (level * 0.2 + 255 * 0.8)).max() <= 1
    for kind in ("PNG", "GIF"):
        palette = Image.new("P", (4, 1))
        palette.putpalette([10, 20, 30, 200, 0, 0])
        palette.putdata([0, 1, 1, 0])
        found = decode(saved(palette, kind, transparency=1)).pixels
        assert found[0].tolist() == [[10, 20, 30], [255] * 3, [255] * 3, [10, 20, 30]]


def test_the_transparent_colour_of_a_16_bit_png() -> None:
    values = np.array([[1000, 40000, 40001, 65535]], np.uint16)
    with_key = _insert_chunk(saved(values, "PNG"), b"tRNS", (40000).to_bytes(2, "big"))
    assert grey(with_key)[0].tolist() == [4, 255, 156, 255]
    colours = np.array([[[1000, 2000, 3000], [40000, 100, 256]]], np.uint16)
    key = b"".join(v.to_bytes(2, "big") for v in (40000, 100, 256))
    found = decode(_insert_chunk(_png_rgb16(colours), b"tRNS", key)).pixels
    assert found[0, 1].tolist() == [255, 255, 255]
    assert found[0, 0].tolist() == [3, 7, 11]


def test_cmyk_of_jpeg_and_tiff() -> None:
    """Adobe's inverted CMYK in JPEG: what was white must not come out black."""
    rgb = scene(3, 64, 96)
    ink = Image.fromarray(rgb).convert("CMYK")
    assert np.abs(decode(saved(ink, "TIFF")).pixels.astype(int) - rgb).max() <= 1
    found = decode(saved(ink, "JPEG", quality=98)).pixels.astype(int)
    assert np.abs(found - rgb).mean() < 3
    white = decode(saved(Image.new("CMYK", (16, 16), (0, 0, 0, 0)), "JPEG")).pixels
    assert white.min() > 250


def test_lab_tiff_against_scikit_image() -> None:
    steps = [(level, a, b) for level in (60, 128, 200) for a in (108, 128, 148) for b in (108, 128, 148)]
    image = Image.new("LAB", (len(steps), 1))
    image.putdata(steps)
    stored = np.array(steps, float)  # TIFF keeps L as 0 ... 255 and a, b with a sign bit
    lab = np.stack([stored[:, 0] / 2.55, stored[:, 1] - 128, stored[:, 2] - 128], -1)
    expected = lab2rgb(lab[None], illuminant="D50")[0] * 255
    found = decode(image).pixels[0]
    assert np.abs(found - expected).mean() < 12


@pytest.mark.parametrize("mode", ["1", "L", "P", "YCbCr", "HSV", "RGBX", "CMYK"])
def test_a_pillow_image_of_any_other_mode(mode: str) -> None:
    source = Image.fromarray(scene(4, 40, 40)).convert("L" if mode == "1" else "RGB").convert(mode)
    assert np.array_equal(decode(source).pixels, np.asarray(source.convert("RGB")))


def test_the_users_image_stays_as_it_was() -> None:
    source = Image.open(
        io.BytesIO(_insert_chunk(_png_rgb16(np.zeros((2, 2, 3), np.uint16)), b"tRNS", bytes(6)))
    )
    before = dict(source.info)
    first = decode(source).pixels
    assert source.info == before
    assert np.array_equal(decode(source).pixels, first)


def test_12_bits_in_a_tiff_mean_4095_for_white(shared: Path) -> None:
    path = shared / "data" / "badfiles" / "modes_cmyk_16bit_palette" / "12bit.cropped.tif"
    if not path.exists():
        pytest.skip("the 12-bit TIFF is not in this copy of the bad files")
    with Image.open(path) as image:
        image.load()
        expected = np.asarray(image).astype(float) * 255 / 4095
    assert np.abs(grey(path.read_bytes()) - expected).max() <= 0.51


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4), np.float32),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros(4, np.uint8),
    ],
)
def test_an_array_that_is_no_picture_says_what_is_expected(array: np.ndarray) -> None:
    with pytest.raises(ImageError, match=r"expected uint8 with shape \[rows, columns\]"):
        decode(array)


def test_arrays_of_each_kind() -> None:
    colour = scene(5, 6, 8)
    assert np.array_equal(decode(colour).pixels, colour)
    assert np.array_equal(decode(colour[::-1, ::2]).pixels, colour[::-1, ::2])
    assert np.array_equal(decode(colour[..., 0]).pixels, np.repeat(colour[..., :1], 3, 2))
    assert decode(np.dstack([colour, np.zeros((6, 8), np.uint8)])).pixels.min() == 255


def _png_rgb16(values: np.ndarray) -> bytes:
    """Pillow cannot write 16-bit colour: take a PNG apart and put other pixels in."""
    import struct
    import zlib

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    rows, cols = values.shape[:2]
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in values)
    header = struct.pack(">IIBBBBB", cols, rows, 16, 2, 0, 0, 0)
    end = chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + end


def _insert_chunk(png: bytes, name: bytes, body: bytes) -> bytes:
    import struct
    import zlib

    chunk = struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    at = png.index(b"IDAT") - 4
    return png[:at] + chunk + png[at:]


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_a_film_scan_in_which_zero_is_white_is_no_negative(kind, tmp_path):
    tifffile = pytest.importorskip("tifffile")
    white = 1 if kind is np.float32 else np.iinfo(kind).max
    ramp = np.tile(np.linspace(0, white, 64).astype(kind), (8, 1))
    for photometric, left, right in (("minisblack", 0, 255), ("miniswhite", 255, 0)):
        tifffile.imwrite(tmp_path / "x.tif", ramp, photometric=photometric)
        row = decode(tmp_path / "x.tif").pixels[0, :, 0]
        assert (row[0], row[-1]) == (left, right), photometric
