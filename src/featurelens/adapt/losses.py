"""Self-supervised objectives, each as one short function of two views' outputs, computed in fp32.

All raise InvalidInput where the views are not outputs of the same two images or more.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from featurelens.errors import InvalidInput
from featurelens.shapes import Float


def nt_xent(
    a: Float[Tensor, "batch dim"], b: Float[Tensor, "batch dim"], *, temperature: float = 0.2
) -> Float[Tensor, ""]:
    """SimCLR's loss (Chen et al. 2020): each view must find its partner among the other 2·batch − 1.

    >>> float(nt_xent(torch.eye(4), torch.eye(4), temperature=0.01)) < 1e-6
    True
    """
    _check(a, b)
    if not temperature > 0:
        raise InvalidInput(f"temperature is {temperature}; it must be above 0.")
    with torch.autocast(a.device.type, enabled=False):
        z = F.normalize(torch.cat((a, b)).float(), dim=1)
        similarity = (z @ z.mT / temperature).fill_diagonal_(-torch.inf)
        partner = torch.arange(len(z), device=z.device).roll(len(a))
        return F.cross_entropy(similarity, partner)


def vicreg(
    a: Float[Tensor, "batch dim"], b: Float[Tensor, "batch dim"], *,
    invariance: float = 25.0, variance: float = 25.0, covariance: float = 1.0,
) -> Float[Tensor, ""]:  # fmt: skip
    """VICReg (Bardes et al. 2022): equal views, unit spread per dimension, no shared information.

    >>> float(vicreg(torch.zeros(8, 4), torch.zeros(8, 4))) > 24
    True
    """
    _check(a, b)
    with torch.autocast(a.device.type, enabled=False):
        a, b = a.float(), b.float()

        def spread(x: Tensor) -> Tensor:
            return F.relu(1 - (x.var(0) + 1e-4).sqrt()).mean()

        def shared(x: Tensor) -> Tensor:
            centred = x - x.mean(0)
            matrix = centred.mT @ centred / (len(x) - 1)
            return (matrix.square().sum() - matrix.diagonal().square().sum()) / x.shape[1]

        spreads = (spread(a) + spread(b)) / 2
        return invariance * F.mse_loss(a, b) + variance * spreads + covariance * (shared(a) + shared(b))


def barlow_twins(
    a: Float[Tensor, "batch dim"], b: Float[Tensor, "batch dim"], *, redundancy: float = 5e-3
) -> Float[Tensor, ""]:
    """Barlow Twins (Zbontar et al. 2021): the views' cross-correlation must be the identity.

    >>> x = torch.tensor([[1.0, 1], [-1, 1], [1, -1], [-1, -1]])
    >>> float(barlow_twins(x, x)) < 0.2
    True
    """
    _check(a, b)
    with torch.autocast(a.device.type, enabled=False):
        a, b = ((x - x.mean(0)) / (x.var(0, unbiased=False) + 1e-5).sqrt() for x in (a.float(), b.float()))
        correlation = a.mT @ b / len(a)
        diagonal = correlation.diagonal()
        other = correlation.square().sum() - diagonal.square().sum()
        return (diagonal - 1).square().sum() + redundancy * other


def negative_cosine(
    prediction: Float[Tensor, "batch dim"], target: Float[Tensor, "batch dim"]
) -> Float[Tensor, ""]:
    """The loss of BYOL (Grill et al. 2020) and SimSiam (Chen & He 2021); the target gets no gradient.

    >>> float(negative_cosine(torch.eye(3), torch.eye(3)))
    -1.0
    """
    _check(prediction, target)
    with torch.autocast(prediction.device.type, enabled=False):
        return -F.cosine_similarity(prediction.float(), target.detach().float(), dim=1).mean()


def _check(a: Tensor, b: Tensor) -> None:
    if a.shape != b.shape or a.ndim != 2 or len(a) < 2:
        raise InvalidInput(
            f"The views have the shapes {list(a.shape)} and {list(b.shape)}; expected two of one shape [images, numbers], "
            "row by row of the same images, and 2 images or more."
        )
