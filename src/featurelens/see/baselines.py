"""What counts as "nothing to see": the images that attributions compare with."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from featurelens.backbone.torch_backbone import TorchBackbone
from featurelens.errors import InvalidInput
from featurelens.shapes import Float

BASELINES = ("black", "mean", "blur", "uniform")


def baseline_of(
    backbone: TorchBackbone, x01: Float[Tensor, "image 3 row col"], name: str = "black", *, seed: int = 0
) -> Float[Tensor, "image 3 row col"]:
    """Normalised baselines of images in [0, 1].

    `black`: pixels of 0. `mean`: the mean colour of the network's training images (0 after normalisation).
    `blur`: the image itself without detail. `uniform`: every value at random from [0, 1], by `seed`, the same
    for all images.
    Raises InvalidInput for another name.
    """
    if name == "mean":
        return torch.zeros_like(x01)
    return backbone.normalize(plain_baseline(x01, name, seed=seed))


def plain_baseline(
    x01: Float[Tensor, "image 3 row col"], name: str, *, seed: int = 0
) -> Float[Tensor, "image 3 row col"]:
    """`black`, `blur` or `uniform` baselines, in [0, 1].

    >>> plain_baseline(torch.ones(1, 3, 4, 4), "black").sum()
    tensor(0.)
    """
    if name == "black":
        return torch.zeros_like(x01)
    if name == "blur":
        return blurred(x01)
    if name == "uniform":
        random = torch.Generator().manual_seed(seed)
        one = torch.rand(x01.shape[1:], generator=random, dtype=x01.dtype)  # whichever images stand beside it
        return one.to(x01.device).expand_as(x01).contiguous()
    raise InvalidInput(f"There is no baseline '{name}'. Known: {', '.join(BASELINES)}.")


def blurred(
    x: Float[Tensor, "image channel row col"], *, share: float = 0.08
) -> Float[Tensor, "image channel row col"]:
    """A Gaussian blur whose sigma is `share` of the smaller side; edges are mirrored, so a flat image stays flat."""
    sigma = max(share * min(x.shape[2:]), 0.3)
    for axis in (2, 3):
        reach = min(int(3 * sigma + 0.5), x.shape[axis] - 1)
        at = torch.arange(-reach, reach + 1, dtype=x.dtype, device=x.device)
        kernel = torch.exp(-0.5 * (at / sigma) ** 2)
        kernel = (kernel / kernel.sum()).reshape(1, 1, *((-1, 1) if axis == 2 else (1, -1)))
        edges = (0, 0, reach, reach) if axis == 2 else (reach, reach, 0, 0)
        flat = F.pad(x.flatten(0, 1)[:, None], edges, mode="reflect")
        x = F.conv2d(flat, kernel).reshape(x.shape)
    return x
