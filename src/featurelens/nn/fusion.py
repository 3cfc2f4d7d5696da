"""Fusion: the vectors of several sources (backbones, layers, scales, image and text) become one vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from featurelens.catalog import unknown
from featurelens.errors import InvalidInput
from featurelens.nn.attention import MultiHeadAttention
from featurelens.shapes import Float

Sources = Sequence[Float[Tensor, "batch _"]]
FUSIONS = ("concat", "weights", "attention", "pca", "whitening")
TRAINED = ("weights", "attention")
_ALIKE = 1e-7
"""A number of unit vectors that varies no more than this does not vary."""
_SILENT = -30.0
"""The logit of a source that never changes: no weight to speak of, and no slope by which training would give it one."""


class Concat(nn.Module):
    """One source after the other, each number standardised, each source counting alike whatever its length.

    `fit` takes mean and spread from examples; no labels.

    >>> fusion = Concat([2, 3]).fit([torch.rand(50, 2), torch.rand(50, 3)])
    >>> fusion([torch.rand(4, 2), torch.rand(4, 3)]).shape
    torch.Size([4, 5])
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, dims: Sequence[int]) -> None:
        super().__init__()
        self.dims = _checked(dims)
        self.register_buffer("mean", torch.zeros(sum(dims)))
        self.register_buffer("scale", torch.ones(sum(dims)))

    @torch.no_grad()
    def fit(self, sources: Sources) -> Concat:
        """Mean and spread of each number; a number that never changes gets no weight. InvalidInput if none changes."""
        joined = _examples(sources, self.dims)
        spread = joined.std(0, unbiased=False)
        counts = torch.cat([torch.full((dim,), float(dim)) for dim in self.dims]).to(spread)
        self.mean.copy_(joined.mean(0))
        self.scale.copy_(torch.where(spread > _ALIKE, 1 / (spread.clamp(min=_ALIKE) * counts.sqrt()), 0.0))
        return self

    def forward(self, sources: Sources) -> Float[Tensor, "batch dim"]:
        return (torch.cat(_units(sources, self.dims), 1).to(self.mean.dtype) - self.mean) * self.scale


class PCA(nn.Module):
    """The standardised sources on their `dim` directions of largest spread, which `whiten` makes equally long.

    Whitening wants many examples: it blows up what is noise (shrunk below a thousandth of the largest variance).
    (Jégou & Chum 2012, "Negative evidences and co-occurrences in image retrieval: the benefit of PCA and whitening".)

    >>> fusion = PCA([4, 4], 3).fit([torch.rand(50, 4), torch.rand(50, 4)])
    >>> fusion([torch.rand(2, 4), torch.rand(2, 4)]).shape
    torch.Size([2, 3])
    """

    projection: Tensor

    def __init__(self, dims: Sequence[int], dim: int = 256, *, whiten: bool = False) -> None:
        super().__init__()
        self.concat, self.whiten = Concat(dims), whiten
        self.dims = self.concat.dims
        if not 1 <= dim <= sum(dims):
            raise InvalidInput(
                f"dim={dim} must be between 1 and {sum(dims)}, the numbers of all sources together."
            )
        self.register_buffer("projection", torch.zeros(sum(dims), dim))

    @torch.no_grad()
    def fit(self, sources: Sources) -> PCA:
        """Directions from examples; InvalidInput for fewer of them than `dim`."""
        if len(sources[0]) <= self.projection.shape[1]:
            raise InvalidInput(
                f"{len(sources[0])} examples are too few for {self.projection.shape[1]} directions; "
                "give more images or a smaller dim."
            )
        x = self.concat.fit(sources)(sources).double()
        values, axes = torch.linalg.eigh(x.mT @ x / len(x))
        kept = self.projection.shape[1]
        values, axes = values.flip(0)[:kept].clamp(min=0), axes.flip(1)[:, :kept]
        lengths = (values + 1e-3 * values[0]).rsqrt() if self.whiten else torch.ones_like(values)
        self.projection.copy_(axes * lengths)
        return self

    def forward(self, sources: Sources) -> Float[Tensor, "batch dim"]:
        return self.concat(sources) @ self.projection


class Weighted(nn.Module):
    """Learned weights: the cosine of two fused vectors is the weighted mean of the sources' cosines.

    `weights` are positive and sum to 1. `fit` only centres each source; the weights are trained.

    >>> fusion = Weighted([2, 3])
    >>> fusion([torch.rand(4, 2), torch.rand(4, 3)]).norm(dim=1).allclose(torch.ones(4)), fusion.weights.tolist()
    (True, [0.5, 0.5])
    """

    mean: Tensor

    def __init__(self, dims: Sequence[int]) -> None:
        super().__init__()
        self.dims = _checked(dims)
        self.register_buffer("mean", torch.zeros(sum(dims)))
        self.logits = nn.Parameter(torch.zeros(len(dims)))

    @property
    def weights(self) -> Float[Tensor, "source"]:
        """How much each source counts."""
        return self.logits.softmax(0)

    @torch.no_grad()
    def fit(self, sources: Sources) -> Weighted:
        """The middle of each source; one that never changes gets no weight. InvalidInput if none changes."""
        joined = _examples(sources, self.dims)
        self.mean.copy_(joined.mean(0))
        for i, spread in enumerate(joined.std(0, unbiased=False).split(self.dims)):
            if not (spread > _ALIKE).any():
                self.logits[i] = _SILENT
        return self

    def forward(self, sources: Sources) -> Float[Tensor, "batch dim"]:
        joined = torch.cat(_units(sources, self.dims), 1).to(self.mean.dtype) - self.mean
        parts = [F.normalize(part, dim=1) for part in joined.split(self.dims, 1)]
        return torch.cat([p * w.sqrt() for p, w in zip(parts, self.weights, strict=True)], 1)


class AttentionFusion(nn.Module):
    """Attention over sources: each is projected to `width` and gets a mark of its own, they ask each other, the mean.

    Batch first; any number of `heads` that divides `width`. Attention as in Vaswani et al. 2017. `weights` tells how
    much each source took from each other one.

    >>> fusion = AttentionFusion([5, 3], width=8, heads=2)
    >>> fusion([torch.rand(4, 5), torch.rand(4, 3)]).shape, fusion.weights([torch.rand(4, 5), torch.rand(4, 3)]).shape
    (torch.Size([4, 8]), torch.Size([4, 2, 2, 2]))
    """

    def __init__(self, dims: Sequence[int], width: int = 256, heads: int = 4) -> None:
        super().__init__()
        self.dims = _checked(dims)
        self.standard = Concat(dims)
        self.projections = nn.ModuleList(nn.Linear(dim, width) for dim in dims)
        self.marks = nn.Parameter(0.02 * torch.randn(len(dims), width))
        self.norm = nn.LayerNorm(width)
        self.attention = MultiHeadAttention(width, heads)

    @torch.no_grad()
    def fit(self, sources: Sources) -> AttentionFusion:
        """Standardisation from examples, and projections that begin as each source's principal directions."""
        self.standard.fit(sources)
        for projection, part in zip(self.projections, self._parts(sources), strict=True):
            projection = cast(nn.Linear, projection)
            _, axes = torch.linalg.eigh((part.mT @ part).double())
            kept = min(projection.out_features, part.shape[1])
            projection.weight.mul_(0.02)
            projection.weight[:kept] += axes.flip(1)[:, :kept].mT
            projection.bias.zero_()
        return self

    def tokens(self, sources: Sources) -> Float[Tensor, "batch source width"]:
        """One token a source."""
        found = [project(part) for project, part in zip(self.projections, self._parts(sources), strict=True)]
        return torch.stack(found, 1) + self.marks

    def forward(self, sources: Sources) -> Float[Tensor, "batch width"]:
        tokens = self.tokens(sources)
        return (tokens + self.attention(self.norm(tokens))).mean(1)

    def weights(self, sources: Sources) -> Float[Tensor, "batch head asking asked"]:
        """The attention weights among the sources (rows sum to 1)."""
        return self.attention.with_weights(self.norm(self.tokens(sources)))[1]

    def _parts(self, sources: Sources) -> Sequence[Tensor]:
        return self.standard(sources).split(self.dims, 1)


Fusion = Concat | PCA | Weighted | AttentionFusion


def make_fusion(kind: str, dims: Sequence[int], *, dim: int = 256, heads: int = 4) -> Fusion:
    """One of FUSIONS; `dim` is the length of what `attention`, `pca` and `whitening` give.

    >>> make_fusion("pca", [300, 200], dim=64).projection.shape
    torch.Size([500, 64])
    """
    if kind == "concat":
        return Concat(dims)
    if kind == "weights":
        return Weighted(dims)
    if kind == "attention":
        return AttentionFusion(dims, dim, heads)
    if kind in ("pca", "whitening"):
        return PCA(dims, min(dim, sum(dims)), whiten=kind == "whitening")
    raise unknown("fusion", kind, FUSIONS)


def _checked(dims: Sequence[int]) -> list[int]:
    if len(dims) < 1 or min(dims) < 1:
        raise InvalidInput(
            f"dims={list(dims)}: give the length of each source's vectors, at least one source."
        )
    return list(dims)


def _units(sources: Sources, dims: Sequence[int]) -> list[Tensor]:
    """Rows of length one, whatever the scale of a source; InvalidInput where the sources are not those of `dims`."""
    shapes = [list(s.shape) for s in sources] if not torch.compiler.is_compiling() else []  # else: any batch
    if shapes and ([s[-1] for s in shapes] != list(dims) or len({s[0] for s in shapes}) > 1):
        raise InvalidInput(
            f"The sources have the shapes {shapes}; expected {len(dims)} of the same number of rows, with "
            f"{list(dims)} numbers each."
        )
    return [F.normalize(s.float(), dim=1) for s in sources]


def _examples(sources: Sources, dims: Sequence[int]) -> Float[Tensor, "example number"]:
    """What a fusion is fitted on; InvalidInput for numbers that are not finite and for examples that are all alike."""
    joined = torch.cat(_units(sources, dims), 1).double()
    if not joined.isfinite().all():
        raise InvalidInput("The sources hold numbers that are not finite; leave those images out.")
    if len(joined) < 2 or not (joined.std(0, unbiased=False) > _ALIKE).any():
        raise InvalidInput(
            f"The {len(joined)} examples are all alike, so there is nothing to fit a fusion to; give more images."
        )
    return joined
