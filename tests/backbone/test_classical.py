"""Hand-made features against scikit-image's own."""

from __future__ import annotations

import numpy as np
import pytest

from featurelens.backbone import load_backbone
from featurelens.backbone.measures import lbp_codes
from featurelens.errors import UnknownName

skimage_feature = pytest.importorskip("skimage.feature", reason="the oracle is scikit-image (extra demo)")
skimage_colour = pytest.importorskip("skimage.color")
data = pytest.importorskip("skimage.data")


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    """Three photos' corners, uint8 [3, 128, 128, 3]."""
    return np.stack([photo[100:228, 100:228] for photo in (data.astronaut(), data.coffee(), data.chelsea())])


def hog(picture: np.ndarray, orientations: int = 9) -> np.ndarray:
    return skimage_feature.hog(
        picture, orientations, (16, 16), (2, 2), block_norm="L2-Hys", channel_axis=2, feature_vector=True
    )


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_hog_is_scikit_images(pixels: np.ndarray) -> None:
    ours = load_backbone("classic:hog").embed(pixels)
    for vector, picture in zip(ours, pixels, strict=True):
        assert vector.shape == hog(picture).shape
        assert cosine(vector, hog(picture)) > 0.999
        assert cosine(vector, hog(picture[:, ::-1])) < 0.95, "a mirrored picture must not pass"


def test_lbp_codes_are_scikit_images(pixels: np.ndarray) -> None:
    grey = pixels[..., 1]
    for ours, picture in zip(lbp_codes(grey), grey, strict=True):
        expected = skimage_feature.local_binary_pattern(picture, 8, 1, "uniform")
        assert (ours == expected).mean() > 0.999
        assert (ours == expected.T).mean() < 0.9


def test_the_colour_histogram_is_numpys_over_hsv(pixels: np.ndarray) -> None:
    ours = load_backbone("classic:colour").embed(pixels)
    for vector, picture in zip(ours, pixels, strict=True):
        hsv = skimage_colour.rgb2hsv(picture).reshape(-1, 3)
        counts, _ = np.histogramdd(hsv, bins=(12, 4, 4), range=((0, 1), (0, 1), (0, 1)))
        assert cosine(vector, np.sqrt(counts.ravel())) > 0.999


def test_a_fusion_weighs_its_parts_alike(pixels: np.ndarray) -> None:
    parts = [load_backbone(f"classic:{name}").embed(pixels) for name in ("hog", "color")]
    np.testing.assert_allclose(load_backbone("classic:hog+colour").embed(pixels), np.hstack(parts), rtol=1e-6)


def test_maps_are_the_cells(pixels: np.ndarray) -> None:
    network = load_backbone("classic:hog")
    assert network.maps(pixels).shape == (3, network.spec.map_channels, 8, 8)


def test_an_unknown_one_is_named() -> None:
    with pytest.raises(UnknownName, match="hog"):
        load_backbone("classic:hogg")


def test_flat_pictures_have_finite_vectors() -> None:
    flat = np.full((1, 128, 128, 3), 9, np.uint8)
    for name in ("hog", "colour", "lbp", "hog+colour+lbp"):
        assert np.isfinite(load_backbone(f"classic:{name}").embed(flat)).all()
