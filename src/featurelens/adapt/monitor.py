"""Is a run alive? Rank, alignment, uniformity and nearest-neighbour accuracy of embeddings."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from featurelens.errors import FeaturelensError
from featurelens.shapes import Float, Int


class CollapsedRun(FeaturelensError):
    """The embeddings no longer differ (or are not finite): going on would only cost time."""


@dataclass(frozen=True)
class Health:
    """What the monitor measured: effective rank, alignment, uniformity and 1-NN accuracy on held-aside pairs.

    `knn` is the accuracy of the 10 nearest neighbours on images with labels, None where there are no labels.
    """

    rankme: float
    alignment: float
    uniformity: float
    nearest: float
    knn: float | None = None

    def check(self, *, smallest_rank: float = 2.0) -> None:
        """Raises CollapsedRun when the rank is below `smallest_rank` or nothing is spread any more."""
        sound = self.rankme >= smallest_rank and self.uniformity < -0.01
        if not sound:
            raise CollapsedRun(
                f"The embeddings have collapsed: RankMe {self.rankme:.2f} (expected at least {smallest_rank:g}), "
                f"uniformity {self.uniformity:.3f} (expected below -0.01). Lower the learning rate, raise the "
                f"batch size, or choose another objective; the last checkpoint before this one is kept."
            )

    def __str__(self) -> str:
        shown = {name: value for name, value in asdict(self).items() if value is not None}
        return "  ".join(f"{name} {value:.3f}" for name, value in shown.items())


def rankme(features: Float[Tensor, "batch dim"], *, epsilon: float = 1e-7) -> float:
    """Effective rank: exp of the entropy of the normalised singular values (Garrido et al. 2023).

    >>> round(rankme(torch.eye(5)), 3)
    5.0
    """
    values = torch.linalg.svdvals(features.float())
    share = values / values.sum().clamp(min=1e-30) + epsilon
    return float(torch.exp(-(share * share.log()).sum()))


def alignment(a: Float[Tensor, "batch dim"], b: Float[Tensor, "batch dim"]) -> float:
    """Mean squared distance of positive pairs on the unit sphere, 0 at best (Wang & Isola 2020)."""
    return float((F.normalize(a.float(), dim=1) - F.normalize(b.float(), dim=1)).square().sum(1).mean())


def uniformity(features: Float[Tensor, "batch dim"], *, t: float = 2.0) -> float:
    """Log of the mean Gaussian potential of all pairs on the unit sphere; lower is better (Wang & Isola 2020)."""
    return float(torch.pdist(F.normalize(features.float(), dim=1)).square().mul(-t).exp().mean().log())


def nearest_accuracy(features: Float[Tensor, "batch dim"], labels: Int[Tensor, "batch"]) -> float:
    """Share of rows whose most similar other row (cosine) carries the same label."""
    z = F.normalize(features.float(), dim=1)
    best = (z @ z.mT).fill_diagonal_(-torch.inf).argmax(1)
    return float((labels[best] == labels).float().mean())


def knn_accuracy(
    features: Float[Tensor, "row dim"], labels: Int[Tensor, "row"], *, k: int = 10, temperature: float = 0.1
) -> float:
    """Leave-one-out accuracy of the `k` most similar rows, each voting with exp(cosine / t) (Wu et al. 2018).

    >>> knn_accuracy(torch.tensor([[1.0, 0], [1, 0.1], [0, 1], [0.1, 1]]), torch.tensor([0, 0, 1, 1]), k=2)
    1.0
    """
    z = F.normalize(features.float(), dim=1)
    right = 0
    for start in range(0, len(z), 1024):
        similarity = z[start : start + 1024] @ z.mT
        rows = torch.arange(len(similarity), device=z.device)
        similarity[rows, rows + start] = -torch.inf
        best, where = similarity.topk(min(k, len(z) - 1))
        votes = torch.zeros(len(best), int(labels.max()) + 1, device=z.device)
        votes.scatter_add_(1, labels[where], (best / temperature).exp())
        right += int((votes.argmax(1) == labels[start : start + 1024]).sum())
    return right / len(z)


def measure(
    a: Float[Tensor, "batch dim"], b: Float[Tensor, "batch dim"], *, knn: float | None = None
) -> Health:
    """Health of the embeddings of two held-aside views per class."""
    both = torch.cat((a, b))
    if not bool(torch.isfinite(both).all()):
        raise CollapsedRun(
            "The embeddings hold NaN or infinity. Lower the learning rate and start again from the last checkpoint."
        )
    labels = torch.arange(len(a), device=a.device).repeat(2)
    return Health(rankme(both), alignment(a, b), uniformity(both), nearest_accuracy(both, labels), knn)
