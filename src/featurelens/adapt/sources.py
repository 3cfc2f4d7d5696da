"""Training pairs for a recipe or for a folder of unlabelled images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from featurelens.adapt.pairs import ImagePairs, Pairs, ProceduralPairs
from featurelens.adapt.recipe import Recipe
from featurelens.errors import ImageError, InvalidInput
from featurelens.images.decode import decode
from featurelens.images.find import find_files
from featurelens.images.fit import Fit

HELD_SEED = 777_777
HELD = 384


def procedural(recipe: Recipe, *, device: str = "cpu") -> tuple[Callable[[int], Pairs], Pairs]:
    """The recipe's pool of procedural pairs, and pairs of other programmes for the monitor."""

    def pairs(step: int) -> Pairs:
        return ProceduralPairs(
            pool=recipe.pool, views=recipe.views, size=recipe.pool_size, refresh=recipe.refresh,
            seed=recipe.seed, device=device, step=step,
        )  # fmt: skip

    held = ProceduralPairs(
        pool=HELD, views=2, size=recipe.pool_size, refresh=0, seed=HELD_SEED, device=device
    )
    return pairs, held


def from_folder(
    folder: Path, recipe: Recipe, *, device: str = "cpu", say: Callable[[str], None] = print
) -> tuple[Callable[[int], Pairs], Pairs]:
    """All readable images under `folder`, in memory; every tenth is held aside for the monitor.

    Unreadable files are named and left out. Raises InvalidInput for fewer than 20 readable images.
    """
    fit, images = Fit(recipe.pool_size, recipe.pool_size, crop_pct=1.0), []
    for found in find_files(folder):
        try:
            images.append(decode(found.path, fit=fit).pixels)
        except ImageError as error:
            say(f"left out {found.name}: {error.reason}")
    if len(images) < 20:
        raise InvalidInput(
            f"{folder} holds {len(images)} readable images; pretraining needs at least 20, better thousands."
        )
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous().to(device)
    aside = torch.arange(len(pixels)) % 10 == 0
    train = ImagePairs(pixels[~aside])
    return (lambda step: train), ImagePairs(pixels[aside])
