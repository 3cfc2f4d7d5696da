"""Augmentation for fine-tuning: a crop and a flip of each image, on the device, with numbers of its own."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from featurelens.shapes import Float


def random_views(
    x01: Float[Tensor, "batch 3 row col"], source: torch.Generator, *, area: float = 0.5, flip: float = 0.5
) -> Float[Tensor, "batch 3 row col"]:
    """A random part (at least the share `area`, sides 3:4 to 4:3) of each image at the same size, half of them mirrored.

    Chance comes from the CPU generator `source` only, so that a run can be repeated. `area=1, flip=0` changes nothing.

    >>> random_views(torch.zeros(2, 3, 8, 6), torch.Generator()).shape
    torch.Size([2, 3, 8, 6])
    """
    if area >= 1 and flip <= 0:
        return x01
    draw = torch.rand(5, len(x01), generator=source)
    share = area + (1 - area) * draw[0]
    longest = -share.log().clamp(min=-0.2877)  # 4:3, or less where a side would be longer than the image's
    ratio = torch.exp((2 * draw[1] - 1) * longest)
    wide, high = (share * ratio).sqrt().clamp(max=1), (share / ratio).sqrt().clamp(max=1)
    x, y = (2 * draw[2] - 1) * (1 - wide), (2 * draw[3] - 1) * (1 - high)
    mirror = torch.where(draw[4] < flip, -1.0, 1.0)
    zero = torch.zeros_like(x)
    rows = [torch.stack((wide * mirror, zero, x), -1), torch.stack((zero, high, y), -1)]
    where = F.affine_grid(torch.stack(rows, 1), list(x01.shape), align_corners=False).to(x01.device)
    return F.grid_sample(x01, where, padding_mode="reflection", align_corners=False)
