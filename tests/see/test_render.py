"""Colours that step evenly, maps that are never blown up, sheets, and files that say how they were made."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab

from featurelens.errors import InvalidInput
from featurelens.see.render import captioned, colourize, enlarge, heat, overlay, save, sheet, to_range
from featurelens.see.render.colour import table
from featurelens.see.render.explained import softened


def steps(colours: np.ndarray) -> np.ndarray:
    lab = rgb2lab(colours[None] / 255.0)[0]
    return deltaE_ciede2000(lab[:-8], lab[8:])


@pytest.mark.parametrize("name", ["heat", "diverging"])
def test_equal_steps_look_equal(name) -> None:
    """scikit-image's CIEDE2000 is the oracle; a rainbow, as sabotage, varies several times as much."""
    found = steps(table(name))
    assert found.std() / found.mean() < 0.3
    rainbow = np.stack([np.interp(np.linspace(0, 5, 255), range(6), c) for c in _RAINBOW.T], axis=1)
    assert steps(rainbow).std() / steps(rainbow).mean() > 0.4


_RAINBOW = np.array([[0, 0, 128], [0, 0, 255], [0, 255, 255], [255, 255, 0], [255, 0, 0], [128, 0, 0]], float)


def test_lightness_rises_in_heat_and_falls_on_both_sides_of_diverging() -> None:
    lightness = {n: rgb2lab(table(n)[None] / 255.0)[0, ::4, 0] for n in ("heat", "diverging", "grey")}
    assert (np.diff(lightness["heat"]) > 0).all()
    assert (np.diff(lightness["grey"][4:]) > 0).all()
    middle = int(lightness["diverging"].argmax())
    assert abs(middle - 32) <= 1
    assert (np.diff(lightness["diverging"][:middle]) > 0).all()
    assert (np.diff(lightness["diverging"][middle + 1 :]) < 0).all()


maps = arrays(np.float64, (4, 5), elements=st.floats(-1e30, 1e30, allow_subnormal=False))


@given(values=maps, signed=st.booleans(), percentile=st.floats(1, 100))
def test_the_range_is_kept_whatever_the_map(values: np.ndarray, signed: bool, percentile: float) -> None:
    found = to_range(values, signed=signed, percentile=percentile)
    assert found.min() >= (-1 if signed else 0)
    assert found.max() <= 1


def test_an_empty_map_stays_empty_and_a_lonely_value_does_not_fill_the_picture() -> None:
    assert not to_range(np.zeros((3, 3))).any()
    assert not to_range(np.full((3, 3), np.nan))[0, 0] > 0
    faint = np.full((3, 3), 1e-9)
    assert to_range(faint, least=1.0).max() <= 1e-9
    assert to_range(faint).max() == 1, "sabotage: without `least` the scale is the map's own"
    lonely = np.zeros((100, 100))
    lonely[3, 4] = 5
    assert to_range(lonely).sum() == 1
    image = np.full((8, 8, 3), 90, np.uint8)
    assert np.array_equal(overlay(image, np.zeros((2, 2))), image)


def test_what_is_not_a_number_is_grey() -> None:
    assert colourize(np.array([[np.nan, 1.0]]))[0, 0].tolist() == [128, 128, 128]


def test_signs_get_their_colours() -> None:
    picture = heat(np.array([[-1.0, 0.0, 1.0]]), signed=True)[0].astype(int)
    assert picture[0, 2] > picture[0, 0] + 60, "below zero: blue"
    assert picture[2, 0] > picture[2, 2] + 60, "above zero: red"
    assert np.ptp(picture[1]) == 0


def test_enlarging_keeps_the_place_and_the_range() -> None:
    values = np.zeros((7, 7))
    values[2, 5] = 1
    for smooth in (True, False):
        big = enlarge(values, 70, 70, smooth=smooth)
        row, col = np.unravel_index(big.argmax(), big.shape)
        assert 20 <= row < 30
        assert 50 <= col < 60
        assert big.min() >= 0
        assert big.max() <= 1


def test_softening_keeps_the_sum() -> None:
    values = np.random.default_rng(0).normal(size=(30, 40))
    assert np.isclose(softened(values, 2.0).sum(), values.sum())
    assert softened(values, 2.0).std() < values.std() / 2
    assert np.array_equal(softened(values, 0), values)


def test_a_sheet_holds_every_picture_unchanged() -> None:
    pictures = [np.full((20, 30, 3), 10 * i, np.uint8) for i in range(1, 6)]
    page = sheet(pictures, columns=2, gap=4, captions=list("abcde"), title="five → six")
    for i in range(1, 6):
        assert (page == 10 * i).all(-1).sum() >= 600
    with pytest.raises(InvalidInput, match="at least one picture"):
        sheet([])
    with pytest.raises(InvalidInput, match="columns=0 must be 1 or more"):
        sheet(pictures, columns=0)
    with pytest.raises(InvalidInput, match="5 pictures and 1 captions"):
        sheet(pictures, captions=["a"])


def test_captions_wrap_to_the_picture() -> None:
    narrow = captioned(np.zeros((5, 80, 3), np.uint8), "a caption of many words, too long for one line")
    assert narrow.shape[1] == 80
    assert narrow.shape[0] > 5 + 2 * 18
    wide = captioned(np.zeros((5, 800, 3), np.uint8), "a caption of many words, too long for one line")
    assert wide.shape[0] < narrow.shape[0]


def test_files_say_how_they_were_made(tmp_path: Path) -> None:
    picture = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    how = {"method": "none", "file": tmp_path, "gap": np.float32(0.5)}
    written = save(tmp_path / "new" / "map.png", picture, how=how, arrays={"values": np.eye(2)})
    assert [p.name for p in written] == ["map.png", "map.npz", "map.json"]
    with Image.open(written[0]) as image:
        assert np.array_equal(np.asarray(image), picture)
        inside = json.loads(image.text["featurelens"])  # pyright: ignore[reportAttributeAccessIssue]
    assert inside == json.loads(written[2].read_text())
    assert inside["gap"] == 0.5
    assert inside["file"] == str(tmp_path)
    assert np.array_equal(np.load(written[1])["values"], np.eye(2))
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["map.json", "map.npz", "map.png"]
    with pytest.raises(InvalidInput, match=r"must end in \.png"):
        save(tmp_path / "map.jpg", picture, how={})
