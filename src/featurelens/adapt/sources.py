"""Training pairs for a recipe or for a folder of unlabelled images."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from featurelens.adapt.pairs import ImagePairs, Labelled, Pairs, ProceduralPairs
from featurelens.adapt.recipe import Recipe
from featurelens.errors import ImageError, InvalidInput
from featurelens.features.labels import Labels
from featurelens.images.decode import decode
from featurelens.images.find import find_files
from featurelens.images.fit import Fit

HELD_SEED = 777_777
HELD = 384
LOOKED_AT = 2000  # images with labels that the monitor embeds


@dataclass(frozen=True)
class Source:
    """`pairs(step)` for training from that step on, `held` for the monitor, `labelled` where labels are at hand.

    `images` are all of a folder's, uint8 `[image, 3, row, col]`; None where the images are procedural.
    `digest` tells one set of images from another ("" where the recipe decides them).
    """

    pairs: Callable[[int], Pairs]
    held: Pairs
    labelled: Labelled | None = None
    images: Tensor | None = None
    digest: str = ""


def procedural(recipe: Recipe, *, device: str = "cpu") -> Source:
    """The recipe's pool of procedural pairs, and pairs of other programmes for the monitor."""

    def pairs(step: int) -> Pairs:
        return ProceduralPairs(
            pool=recipe.pool, views=recipe.views, size=recipe.pool_size, refresh=recipe.refresh,
            seed=recipe.seed, device=device, step=step, mixture=recipe.mixture, chunk=recipe.chunk,
        )  # fmt: skip

    held = ProceduralPairs(
        pool=HELD, views=2, size=recipe.pool_size, refresh=0, seed=HELD_SEED, device=device
    )
    return Source(pairs, held)


def from_folder(
    folder: Path, recipe: Recipe, *, device: str = "cpu", say: Callable[[str], None] = print
) -> Source:
    """All readable images under `folder`, in memory; a tenth (16 of few) is held aside for the monitor.

    Unreadable files are named and left out. Labels (metadata or class folders) are for the monitor only.
    Raises InvalidInput for a missing folder and for fewer than 20 readable images.
    """
    fit, images, names = Fit(recipe.pool_size, recipe.pool_size, crop_pct=1.0), [], []
    for found in find_files(folder):
        try:
            images.append(decode(found.path, fit=fit).pixels)
            names.append(found.name)
        except ImageError as error:
            say(f"left out {found.name}: {error.reason}")
    if len(images) < 20:
        raise InvalidInput(
            f"{folder} holds {len(images)} readable images; pretraining needs at least 20, better thousands."
        )
    stacked = np.stack(images)
    digest = hashlib.sha256(stacked.data).hexdigest()[:16]
    pixels = torch.from_numpy(stacked).permute(0, 3, 1, 2).contiguous().to(device)
    count = len(pixels)
    held = torch.linspace(0, count - 1, max(count // 10, min(16, count // 2))).round().long()
    aside = torch.zeros(count, dtype=torch.bool)
    aside[held] = True
    train = ImagePairs(pixels[~aside])
    return Source(
        lambda step: train, ImagePairs(pixels[aside]), _labelled(folder, names, pixels, say), pixels, digest
    )


def _labelled(folder: Path, names: list[str], pixels: Tensor, say: Callable[[str], None]) -> Labelled | None:
    """Images with labels, evenly taken; None unless there are two classes."""
    label_of = Labels(folder, on_error=say)
    found = {row: label for row, name in enumerate(names) if (label := label_of(name)) is not None}
    if len(set(found.values())) < 2:
        return None
    rows = sorted(found)[:: -(-len(found) // LOOKED_AT)]
    number = {label: n for n, label in enumerate(sorted(set(found.values())))}
    classes = torch.tensor([number[found[row]] for row in rows], device=pixels.device)
    return Labelled(pixels[rows], classes)
