"""Endless varied images that nobody owns: a seeded, batched renderer of textures, leaves and objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from featurelens.errors import MissingExtra
from featurelens.shapes import UInt8


def render(
    *, programmes: int, views: int = 2, size: int = 96, seed: int = 0, device: str = "cpu",
    mixture: Mapping[str, int] | None = None,
) -> UInt8[np.ndarray, "image row col 3"]:  # fmt: skip
    """Images of `programmes` random scene programmes, each drawn `views` times with other light, pose and ground.

    Rows `p * views … p * views + views - 1` belong to programme `p`. The same arguments give the same
    images on the same device. `mixture` changes the shares of the scenes (objects 55, leaves 30, surfaces 15)
    and of the textures that they wear (spectra 35, networks 25, gratings 20, cells 20); 0 leaves one out; and the
    percentage of an object's views that keep their programme's colours (70) and textures (55).
    Needs torch (extra `lab`); raises MissingExtra without it, InvalidInput for a mixture of nothing or of
    unknown names. After Baradad et al. 2021 (dead leaves, spectra), 2022 (shader programmes) and Kataoka et
    al. 2020 (classes by formula).

    >>> render(programmes=2, views=2, size=32).shape
    (4, 32, 32, 3)
    """
    images = render_tensor(
        programmes=programmes, views=views, size=size, seed=seed, device=device, mixture=mixture
    )
    return images.permute(0, 2, 3, 1).cpu().numpy()


def render_tensor(
    *, programmes: int, views: int, size: int, seed: int, device: str = "cpu",
    mixture: Mapping[str, int] | None = None,
) -> Any:  # fmt: skip
    """`render` as a uint8 tensor `[image, 3, row, col]` that stays on `device`."""
    try:
        from featurelens.images.procedural import scene
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtra("torch", "lab", "Drawing procedural images") from error
    return scene.draw(
        programmes=programmes, views=views, size=size, seed=seed, device=device, mixture=mixture or {}
    )


def contact_sheet(
    *, programmes: int = 12, views: int = 4, size: int = 96, seed: int = 0
) -> UInt8[np.ndarray, "row col 3"]:
    """One picture of many: a row per programme, a column per view.

    >>> contact_sheet(programmes=2, views=3, size=32).shape
    (64, 96, 3)
    """
    images = render(programmes=programmes, views=views, size=size, seed=seed)
    grid = images.reshape(programmes, views, size, size, 3).transpose(0, 2, 1, 3, 4)
    return grid.reshape(programmes * size, views * size, 3)
