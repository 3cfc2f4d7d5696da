"""`decode` from the outside: sources, formats, orientation, limits, and a reason for every failure."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from featurelens.errors import ImageError
from featurelens.images.decode import decode
from featurelens.images.fit import Fit
from fixtures.scenes import saved, scene

PHOTO = scene(1, 120, 160)
KINDS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000"]
KINDS += ["PPM", "ICO", "TGA", "PCX", "SGI", "DDS", "QOI"]


def whole(kind: str) -> bytes:
    image = Image.fromarray(PHOTO)
    return saved(image.resize((64, 64)) if kind == "ICO" else image, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_each_format_is_read_by_its_content(kind: str, tmp_path: Path) -> None:
    """The ending lies; what Pillow reads is the oracle."""
    path = tmp_path / "photo.txt"
    path.write_bytes(whole(kind))
    found = decode(path)
    with Image.open(io.BytesIO(whole(kind))) as image:
        expected = np.asarray(image.convert("RGB"))
    assert np.array_equal(found.pixels, expected)
    assert (found.width, found.height) == (expected.shape[1], expected.shape[0])
    assert found.format == kind


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_a_file_cut_short_is_refused_not_shown_in_part(kind: str, share: float) -> None:
    data = whole(kind)
    with pytest.raises(ImageError, match=r"damaged|cut short|not an image") as caught:
        decode(data[: int(len(data) * share)])
    assert "Pillow" not in caught.value.reason


def test_heif_photos() -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(PHOTO)).save(buffer, quality=95)
    found = decode(buffer.getvalue())
    assert found.format == "HEIF"
    expected = np.asarray(pillow_heif.read_heif(buffer.getvalue()).to_pillow().convert("RGB"))
    assert np.array_equal(found.pixels, expected)
    with pytest.raises(ImageError, match="HEIF"):
        decode(buffer.getvalue()[:-400])


def test_without_pillow_heif_the_reason_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif.as_plugin", None)
    with pytest.raises(ImageError, match=r"pip install 'featurelens\[heif\]'"):
        decode(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))


def test_path_bytes_array_and_pillow_image_give_the_same(tmp_path: Path) -> None:
    data = saved(PHOTO, "PNG")
    (tmp_path / "a.png").write_bytes(data)
    sources = [tmp_path / "a.png", str(tmp_path / "a.png"), data, PHOTO, Image.fromarray(PHOTO)]
    for fit in (None, Fit(32, 32)):
        first, *others = [decode(source, fit=fit).pixels for source in sources]
        assert all(np.array_equal(first, other) for other in others)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_exif_orientation(kind: str, turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    data = saved(PHOTO, kind, exif=exif)
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    found = decode(data)
    assert np.array_equal(found.pixels, expected)
    assert (found.width, found.height) == ((160, 120) if turn < 5 else (120, 160))


def test_orientation_on_photos_made_to_test_it(shared: Path) -> None:
    """The same scene stored in all eight ways: every one must come out like the first."""
    folder = shared / "data" / "badfiles" / "exif_orientation"
    for pattern in ("Portrait_?.jpg", "g4_orientation_?.tif"):
        files = sorted(folder.glob(pattern))
        assert len(files) == 8
        first, *others = [decode(p, fit=Fit(48, 48)).pixels.astype(int) for p in files]
        assert max(np.abs(first - other).mean() for other in others) < 12


def test_damaged_exif_does_not_lose_the_picture() -> None:
    data = saved(PHOTO, "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff garbage")
    assert decode(data).width == 160


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_of_an_animation(kind: str) -> None:
    frames = [Image.new("RGB", (20, 10), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert decode(data).pixels[5, 5].tolist() == [255, 0, 0]


@pytest.mark.parametrize("kind", KINDS)
def test_the_pixel_limit_is_judged_before_decoding(kind: str) -> None:
    data = whole(kind)
    size = 64 * 64 if kind == "ICO" else 120 * 160
    assert decode(data, max_pixels=size).width > 0
    with pytest.raises(ImageError, match=f"limit of {size - 1:,} .option max_pixels"):
        decode(data, max_pixels=size - 1)


def test_the_limit_can_be_raised_above_pillows_own() -> None:
    """Pillow refuses 180 megapixels by itself; a black PNG of that size is 200 KB."""
    data = saved(Image.new("1", (20_000, 9_000)), "PNG")
    with pytest.raises(ImageError, match="20000 x 9000 pixels"):
        decode(data)
    found = decode(data, fit=Fit(8, 8, interpolation="nearest"), max_pixels=200_000_000)
    assert (found.width, found.height) == (20_000, 9_000)


def test_arrays_and_images_have_the_limit_too() -> None:
    for source in (PHOTO, Image.fromarray(PHOTO)):
        with pytest.raises(ImageError, match="limit"):
            decode(source, max_pixels=100)


def test_what_is_not_a_regular_file_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "s"))
    with server:
        for name in ("pipe.jpg", "s"):
            with pytest.raises(ImageError, match="pipe, socket or device"):
                decode(tmp_path / name)
    with pytest.raises(ImageError, match="device"):
        decode("/dev/zero")
    (tmp_path / "x.jpg").mkdir()
    with pytest.raises(ImageError, match="a folder"):
        decode(tmp_path / "x.jpg")


def test_missing_forbidden_and_impossible_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImageError, match="no such file"):
        decode(tmp_path / "missing.jpg")
    with pytest.raises(ImageError, match="possible file name"):
        decode("a\0b")
    with pytest.raises(ImageError, match="name too long"):
        decode(tmp_path / ("x" * 300))
    monkeypatch.setattr(os, "open", _refuse)
    (tmp_path / "locked.jpg").write_bytes(whole("JPEG"))
    with pytest.raises(ImageError, match="permission denied"):
        decode(tmp_path / "locked.jpg")


def test_reasons_are_plain_words_without_paths(tmp_path: Path) -> None:
    path = tmp_path / "secret-folder.png"
    for data in (b"", b"hello", whole("PNG")[:60], whole("TIFF")[:200], b"GIF89a", bytes(50)):
        path.write_bytes(data)
        with pytest.raises(ImageError) as caught:
            decode(path)
        assert not any(
            word in caught.value.reason for word in ("secret", "Pillow", "PIL", "Error", "0x", "object")
        )


def test_no_memory_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory(*args: object, **options: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Image.Image, "resize", out_of_memory)
    with pytest.raises(ImageError, match="not enough memory"):
        decode(PHOTO, fit=Fit(), exact=True)


def test_warnings_are_neither_shown_nor_lost_to_others() -> None:
    """Inside, Pillow is quiet even where warnings are errors; outside, the filters are what they were."""
    apng = saved(PHOTO, "PNG")
    at = apng.index(b"IDAT") - 4
    invalid = apng[:at] + b"\0\0\0\x08acTL" + bytes(8) + b"\0\0\0\0" + apng[at:]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = list(warnings.filters)
        with ThreadPoolExecutor(4) as pool:
            for _ in pool.map(lambda _: _decoded_or_reason(invalid), range(50)):
                pass
        assert warnings.filters == before
        with pytest.raises(UserWarning, match="APNG"):
            Image.open(io.BytesIO(invalid)).load()


def test_many_threads_read_the_same_as_one() -> None:
    data = {kind: whole(kind) for kind in ("JPEG", "PNG", "WEBP", "GIF", "TIFF")}
    expected = {kind: decode(d, fit=Fit(32, 32)).pixels for kind, d in data.items()}
    barrier = threading.Barrier(4)

    def run(_: int) -> bool:
        barrier.wait()
        return all(np.array_equal(decode(d, fit=Fit(32, 32)).pixels, expected[k]) for k, d in data.items())

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(run, range(4)))


def _decoded_or_reason(data: bytes) -> int | str:
    try:
        return decode(data).width
    except ImageError as error:
        return error.reason


def _refuse(*args: object, **options: object) -> int:
    raise PermissionError(13, "Permission denied")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("interpolation='linear'", "bicubic"),
        ("mode='pad'", "squash"),
        ("crop_pct=0", "above 0"),
        ("crop_pct='0.9'", "'0.9'"),
        ("rows=0", "0 x 224"),
        ("cols=1.5", "224 x 1.5"),
    ],
)
def test_a_rule_that_is_none_is_refused(wrong, said):
    """In a Python of its own: here beartype would refuse the types first."""
    code = f"from featurelens.images.fit import Fit; Fit({wrong})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "featurelens.errors.InvalidInput" in done.stderr
    assert said in done.stderr
