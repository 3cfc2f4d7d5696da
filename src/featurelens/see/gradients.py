"""Attribution by the plain gradient: saliency, input × gradient, SmoothGrad. Signed, one value per channel."""

from __future__ import annotations

import torch
from torch import Tensor

from featurelens.errors import InvalidInput
from featurelens.see.score import Score, gradient, pieces
from featurelens.shapes import Float

Images = Float[Tensor, "image 3 row col"]


def saliency(score: Score, x: Images, *, chunk: int = 16) -> Images:
    """The gradient of the score by each pixel (Simonyan et al., "Deep Inside Convolutional Networks", 2013).

    `x` are normalised images; the values are score per unit of the normalised pixel, with their sign.
    """
    which = torch.arange(len(x), device=x.device)
    return torch.cat([gradient(score, x[part], which[part])[1] for part in pieces(len(x), chunk)])


def input_x_gradient(score: Score, x: Images, *, chunk: int = 16) -> Images:
    """Normalised pixel times gradient: for a linear network, what each pixel adds to the score.

    Shrikumar et al., "Not Just a Black Box" (2016).
    """
    return x * saliency(score, x, chunk=chunk)


def smoothgrad(
    score: Score, x: Images, *, samples: int = 25, noise: float = 0.15, seed: int = 0, chunk: int = 16
) -> Images:
    """The mean gradient over `samples` noisy copies of each image (Smilkov et al., "SmoothGrad", 2017).

    `noise` is the standard deviation as a share of each image's range of values. Image i gets the same
    noise whichever images stand beside it. Runs `chunk` copies at a time; memory does not grow with samples.
    """
    if samples < 1 or noise < 0:
        raise InvalidInput(f"samples={samples} must be 1 or more, and noise={noise} 0 or more.")
    span = noise * (x.amax((1, 2, 3)) - x.amin((1, 2, 3)))
    total = torch.zeros_like(x)
    streams = [torch.Generator().manual_seed(seed) for _ in x]
    for part in pieces(len(x) * samples, chunk):
        which = torch.arange(part.start, part.stop, device=x.device) // samples
        drawn = [torch.randn(x.shape[1:], generator=streams[i], dtype=x.dtype) for i in which.tolist()]
        noisy = x[which] + span[which].reshape(-1, 1, 1, 1) * torch.stack(drawn).to(x.device)
        total.index_add_(0, which, gradient(score, noisy, which)[1])
    return total / samples
