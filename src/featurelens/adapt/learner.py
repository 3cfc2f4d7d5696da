"""What learns in self-supervision: a timm encoder, a projector, and for BYOL and SimSiam a predictor."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from featurelens.adapt.recipe import Recipe
from featurelens.errors import InvalidInput
from featurelens.shapes import Float

REFUSALS = (
    AssertionError, AttributeError, IndexError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError,
    ZeroDivisionError,
)  # fmt: skip
"""What a network says of options or sizes that it does not take."""


def mlp(*widths: int) -> nn.Sequential:
    """Linear layers with batch norm and ReLU in between."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.BatchNorm1d(after), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[:-2])


class Learner(nn.Module):
    """A timm network that gives pooled features (their number is found by running it), and what follows it.

    Raises InvalidInput for an architecture that timm does not have or that does not take the recipe's sizes.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.mean, self.std = recipe.mean, recipe.std
        self.encoder = _encoder(recipe)
        dim = _probed(self.encoder, recipe)
        self.projector = mlp(dim, *recipe.projector)
        width = recipe.projector[-1]
        predicts = recipe.objective in ("byol", "simsiam")
        hidden = max(width // 4, 8) if recipe.objective == "simsiam" else 512
        self.predictor = mlp(width, hidden, width) if predicts else None

    def normalize(self, views: Float[Tensor, "batch 3 row col"]) -> Float[Tensor, "batch 3 row col"]:
        """From [0, 1] to what the encoder was or will be trained on."""
        mean, std = (torch.tensor(x, device=views.device)[:, None, None] for x in (self.mean, self.std))
        return (views - mean).div_(std).contiguous(memory_format=torch.channels_last)

    def embed(self, views: Float[Tensor, "batch 3 row col"]) -> Float[Tensor, "batch dim"]:
        """Pooled features of views in [0, 1]."""
        return self.encoder(self.normalize(views))

    def forward(self, views: Float[Tensor, "batch 3 row col"]) -> Float[Tensor, "batch out"]:
        return self.projector(self.embed(views))


def _encoder(recipe: Recipe) -> nn.Module:
    import timm

    if not timm.is_model(recipe.architecture):
        raise InvalidInput(
            f"timm has no architecture '{recipe.architecture}'. 'featurelens models' lists those that it has."
        )
    try:
        return timm.create_model(recipe.architecture, num_classes=0, **recipe.options)
    except REFUSALS as error:
        raise InvalidInput(
            f"timm's '{recipe.architecture}' cannot be made with options = {recipe.options} "
            f"({type(error).__name__}: {str(error).partition(chr(10))[0]}). Change the recipe's options."
        ) from error


def _probed(encoder: nn.Module, recipe: Recipe) -> int:
    """The number of features, from one image of each size that the recipe uses."""
    sizes = [size for _, size, _ in recipe.phases] + [recipe.local_size] * bool(recipe.local_views)
    encoder.eval()
    dim = 0
    with torch.no_grad():
        for size in sizes:
            try:
                found = encoder(torch.zeros(1, 3, size, size))
            except REFUSALS as error:
                raise InvalidInput(
                    f"'{recipe.architecture}' does not take images of {size} px "
                    f"({str(error).partition(chr(10))[0]}). Change the pixels in phases, or give it "
                    "options = { img_size = ... } or { dynamic_img_size = true } where it knows them."
                ) from error
            if found.ndim != 2:
                raise InvalidInput(
                    f"'{recipe.architecture}' gives {list(found.shape)}, not one vector an image."
                )
            dim = found.shape[1]
    encoder.train()
    return dim
