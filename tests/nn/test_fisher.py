"""Fisher vectors beside scikit-image's, patches that know their mirror image, and the embedded network's branches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.feature import fisher_vector
from sklearn.mixture import GaussianMixture

from featurelens.adapt.recover import recovered
from featurelens.images.procedural import render_tensor
from featurelens.nn import fisher
from featurelens.nn.fisher import Fisher
from featurelens.nn.patches import SUB, ColourPatches, GradientPatches, Patches

KINDS = (GradientPatches, ColourPatches)


@pytest.fixture(scope="module")
def scenes() -> torch.Tensor:
    return render_tensor(programmes=24, views=1, size=64, seed=4).float() / 255


def maps_of(patches: Patches, x01: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.pixel_unshuffle(patches.measure(x01), SUB)


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.__name__)
def fitted(request, scenes) -> Fisher:
    found = Fisher(request.param(dim=6), count=5)
    found.fit(maps_of(found.patches, scenes), rows=3000)
    return found


@pytest.fixture
def everywhere_alike(monkeypatch) -> None:
    """scikit-image knows no weights by place."""
    monkeypatch.setattr(fisher, "CENTRE", 1e6)


def peer(fitted: Fisher, maps: torch.Tensor) -> np.ndarray:
    """scikit-image's vector of one image and its mirror image, without the part of the mixture's weights."""
    found, places = fitted.patches.descriptors(maps)
    rows = (torch.cat((found[0], places), 1) * fitted.scale).numpy()
    mixture = GaussianMixture(len(fitted.bias), covariance_type="diag")
    variances = (-0.5 / fitted.square.mT).double().numpy()
    mixture.means_, mixture.covariances_ = fitted.means.double().numpy(), variances
    mixture.precisions_cholesky_ = 1 / np.sqrt(variances)
    mixture.weights_ = (1 / (fitted.by_mean[:, 0] ** 2 * torch.tensor(variances[:, 0]))).double().numpy()
    bag = np.concatenate((rows, rows * fitted.sign.numpy()))
    whole = fisher_vector(bag, mixture, improved=False)[len(fitted.bias) :]
    means, spreads = whole.reshape(2, len(fitted.bias), -1)
    rooted = np.concatenate((means, -spreads)).ravel()  # skimage: the negative pull at the variances
    rooted = np.sign(rooted) * np.sqrt(np.abs(rooted))
    return rooted / np.linalg.norm(rooted)


def test_the_vector_is_that_of_scikit_image(fitted, scenes, everywhere_alike) -> None:
    maps = maps_of(fitted.patches, scenes[:3])
    ours = fitted(maps)
    for i in range(3):
        assert np.abs(ours[i].numpy() - peer(fitted, maps[i : i + 1])).max() < 1e-4, (
            "up to the root of an epsilon"
        )


def test_it_is_another_where_the_middle_counts_more(fitted, scenes) -> None:
    maps = maps_of(fitted.patches, scenes[:1])
    assert np.abs(fitted(maps)[0].numpy() - peer(fitted, maps)).max() > 0.01


def test_a_mirrored_patch_has_the_same_components_but_for_their_signs(fitted, scenes) -> None:
    patches = fitted.patches
    small, _ = patches.grids(maps_of(patches, scenes[:2]), patches.basis)
    mirrored, _ = patches.grids(maps_of(patches, scenes[:2].flip(3)), patches.basis)
    expected = small.flip(3) * patches.sign[:, None, None]
    assert (mirrored - expected).abs().max() < 1e-4
    assert (mirrored - small.flip(3)).abs().max() > 0.01, "some components are odd"
    assert {1.0, -1.0} == set(patches.sign.tolist())


def test_the_components_are_orthonormal_and_ordered_by_what_they_explain(fitted, scenes) -> None:
    patches = fitted.patches
    basis = patches.basis.flatten(1)
    assert torch.allclose(basis @ basis.mT, torch.eye(len(basis)), atol=1e-5)
    spread = patches.descriptors(maps_of(patches, scenes))[0].flatten(0, 1).var(0)
    assert spread[0] > spread[-1]


def test_large_tiles_have_the_moments_of_their_pixels() -> None:
    pixels = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    patches = ColourPatches()
    joined = patches.joined(patches.measure(pixels))
    colours = (
        torch.nn.functional.conv2d(pixels, patches.opponent)[0].unfold(1, 8, 8).unfold(2, 8, 8).flatten(3)
    )
    assert torch.allclose(joined[0, :3], colours.mean(3), atol=1e-5)
    assert torch.allclose(joined[0, 3:], colours.std(3, correction=0), atol=2e-4)


def test_hand_made_branches_do_not_see_the_difference_to_a_mirror_image() -> None:
    descriptor = recovered()
    pixels = render_tensor(programmes=4, views=1, size=128, seed=9).float() / 255
    with torch.no_grad():
        maps, mirrored = (
            descriptor.features((x - descriptor.mean) / descriptor.std) for x in (pixels, pixels.flip(3))
        )
        for name, branch in descriptor.branches.items():
            alike = torch.nn.functional.cosine_similarity(branch(maps), branch(mirrored)).min()
            assert (alike > 0.9999) == (name != "deep"), name
