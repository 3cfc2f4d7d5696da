"""Fisher vectors: how the local descriptors of an image pull at a mixture of Gaussians fitted to all images."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn

from featurelens.nn.encoders import rooted
from featurelens.nn.patches import Patches
from featurelens.shapes import Float

CENTRE = 0.4  # of the image's side: how far from the middle a descriptor still counts for .6


class Fisher(nn.Module):
    """Descriptors with their places → Fisher vector: the pull at means and variances, signed root, unit length.

    Perronnin, Sánchez, Mensink: "Improving the Fisher Kernel for Large-Scale Image Classification" (2010); places as
    in Sánchez et al., "Modeling the Spatial Layout of Images" (2012). What lies in the middle counts more, as photos
    are taken; an image and its mirror image are one bag of descriptors, so that both have the same vector.
    """

    scale: Tensor
    sign: Tensor
    even: Tensor
    odd: Tensor
    square: Tensor
    bias: Tensor
    means: Tensor
    offset: Tensor
    by_mean: Tensor
    by_variance: Tensor

    def __init__(self, patches: Patches, count: int = 64) -> None:
        super().__init__()
        width = patches.dim + 2
        self.patches, self.width = patches, 2 * count * width
        each = (count, width)
        shapes = {
            "scale": (width,), "sign": (width,), "even": each[::-1], "odd": each[::-1], "square": each[::-1], "bias": (count,),
            "means": each, "offset": each, "by_mean": each, "by_variance": each,
        }  # fmt: skip
        for name, shape in shapes.items():
            self.register_buffer(name, torch.zeros(shape))

    def forward(self, maps: Float[Tensor, "batch channel cell_row cell_col"]) -> Float[Tensor, "batch value"]:
        found, places = self.patches.descriptors(maps)
        rows = torch.cat((found, places.expand(found.shape[0], -1, -1)), 2) * self.scale
        squares = rows * rows
        weight = (places.square().sum(1) / (-2 * CENTRE**2)).exp()
        weight = (weight / (2 * weight.sum()))[:, None]
        alike = squares @ self.square + rows @ self.even + self.bias
        apart = rows @ self.odd
        seen, mirrored = ((alike + way * apart).softmax(2) * weight for way in (1, -1))
        both = (seen + mirrored).mT
        count, second = both.sum(2, keepdim=True), both @ squares
        first = seen.mT @ rows + self.sign * (mirrored.mT @ rows)
        by_mean = (first - count * self.means) * self.by_mean
        by_variance = (second - 2 * (first * self.means) + count * self.offset) * self.by_variance
        return rooted(torch.cat((by_mean, by_variance), 1).flatten(1))

    def fit(self, maps: Float[Tensor, "image channel cell_row cell_col"], *, rows: int = 100_000) -> None:
        """Set components and mixture from `rows` random descriptors of these maps; the same ones each time."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        source = torch.Generator().manual_seed(7)
        each = -(-rows // len(maps))
        width = self.patches.basis[0].numel()
        every = torch.eye(width).view(width, *self.patches.basis.shape[1:])
        whole, placed = [], []
        for batch in maps.split(64):
            for grid in self.patches.grids(batch, every):
                flat = grid.permute(0, 2, 3, 1).flatten(0, 2)
                whole.append(flat[torch.randperm(len(flat), generator=source)[: each * len(batch) // 2]])
        self.patches.fit(torch.cat(whole))
        for batch in maps.split(64):
            found, places = self.patches.descriptors(batch)
            flat = torch.cat((found, places.expand(found.shape[0], -1, -1)), 2).flatten(0, 1)
            placed.append(flat[torch.randperm(len(flat), generator=source)[: each * len(batch)]])
        some = torch.cat(placed)
        self.scale.copy_(1 / some.std(0))
        self.sign.copy_(torch.cat((self.patches.sign, torch.tensor([-1.0, 1.0]))))
        mixture = GaussianMixture(
            len(self.bias), covariance_type="diag", max_iter=25, tol=1e-2, reg_covar=1e-3,
            init_params="k-means++", random_state=7,
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # 25 rounds are all that is asked for
            mixture.fit((some * self.scale).double().numpy())
        weights, means, variances = (
            torch.tensor(x) for x in (mixture.weights_, mixture.means_, mixture.covariances_)
        )
        linear = (means / variances).mT
        self.even.copy_(linear * (self.sign[:, None] > 0))
        self.odd.copy_(linear * (self.sign[:, None] < 0))
        self.square.copy_((-0.5 / variances).mT)
        self.bias.copy_(weights.log() - 0.5 * (means.square() / variances + variances.log()).sum(1))
        self.means.copy_(means)
        self.offset.copy_(means.square() - variances)
        self.by_mean.copy_(1 / (variances.sqrt() * weights.sqrt()[:, None]))
        self.by_variance.copy_(1 / (variances * (2 * weights).sqrt()[:, None]))
