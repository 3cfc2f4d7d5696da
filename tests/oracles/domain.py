"""Domain adaptation once more, slower and simpler: sums over pairs, as the papers and TLlib write them."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor


def coral(x: np.ndarray, y: np.ndarray) -> float:
    """‖C_S − C_T‖² / (4 d²), entry by entry (Sun & Saenko 2016; skada's deepcoral_loss)."""
    a, b = np.cov(x.T), np.cov(y.T)
    d = x.shape[1]
    return sum((a[i, j] - b[i, j]) ** 2 for i in range(d) for j in range(d)) / (4 * d * d)


def mmd(x: np.ndarray, y: np.ndarray, kernel) -> float:
    """Gretton's unbiased estimate with a kernel of two rows."""
    n, m = len(x), len(y)
    within_x = sum(kernel(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_y = sum(kernel(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within_x + within_y - 2 * sum(kernel(a, b) for a in x for b in y) / (n * m)


def dan(x: np.ndarray, y: np.ndarray) -> float:
    """TLlib's MultipleKernelMaximumMeanDiscrepancy: σ² of each kernel is α times the mean squared distance."""
    rows = np.concatenate([x, y])
    mean = np.mean([((a - b) ** 2).sum() for a in rows for b in rows])

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        gap = ((a - b) ** 2).sum()
        return sum(math.exp(-gap / (2 * alpha * mean)) for alpha in (0.25, 0.5, 1, 2, 4))

    return mmd(x, y, kernel)


def median_kernel(x: np.ndarray, y: np.ndarray):
    """The mean of five RBF kernels around the median squared distance of all pairs."""
    rows = np.concatenate([x, y])
    gaps = [((rows[i] - rows[j]) ** 2).sum() for i in range(len(rows)) for j in range(i)]
    middle = float(np.median(gaps))
    return lambda a, b: float(
        np.mean([math.exp(-((a - b) ** 2).sum() / (w * middle)) for w in (0.25, 0.5, 1, 2, 4)])
    )


def mcc(logits: Tensor, temperature: float) -> Tensor:
    """TLlib's MinimumClassConfusionLoss, line for line."""
    batch_size, num_classes = logits.shape
    predictions = torch.softmax(logits / temperature, dim=1)
    entropy = (-predictions * torch.log(predictions + 1e-5)).sum(1)
    entropy_weight = entropy.detach()
    entropy_weight = 1 + torch.exp(-entropy_weight)
    entropy_weight = (batch_size * entropy_weight / torch.sum(entropy_weight)).unsqueeze(dim=1)
    class_confusion_matrix = torch.mm((predictions * entropy_weight).transpose(1, 0), predictions)
    class_confusion_matrix = class_confusion_matrix / torch.sum(class_confusion_matrix, dim=1, keepdim=True)
    return (torch.sum(class_confusion_matrix) - torch.trace(class_confusion_matrix)) / num_classes


def dann(x: Tensor, y: Tensor, critic) -> Tensor:
    """TLlib's DomainAdversarialLoss: binary cross-entropy with the source as 1 and the target as 0."""
    told_x, told_y = torch.sigmoid(critic(x)), torch.sigmoid(critic(y))
    entropy = torch.nn.functional.binary_cross_entropy
    return 0.5 * (entropy(told_x, torch.ones_like(told_x)) + entropy(told_y, torch.zeros_like(told_y)))


def recoloured(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x whitened by its own covariance and coloured by that of y, by scipy's matrix roots (skada's CORALAdapter)."""
    from scipy.linalg import inv, sqrtm

    whiten, colour = inv(sqrtm(np.cov(x.T))), sqrtm(np.cov(y.T))
    return ((x - x.mean(0)) @ whiten @ colour).real + y.mean(0)


def information(logits: np.ndarray) -> float:
    """H(mean p) − mean H(p), by sums."""
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    mean = chances.mean(0)
    return -sum(p * math.log(p) for p in mean) + float(
        np.mean([sum(p * math.log(p) for p in r) for r in chances])
    )


def density(logits: np.ndarray, temperature: float = 0.05) -> float:
    """Soft neighbourhood density after the paper's own code: the row itself is left out, then a softmax and its entropy."""
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    rows = chances / np.sqrt((chances**2).sum(1, keepdims=True))
    total = 0.0
    for i in range(len(rows)):
        similar = [rows[i] @ rows[j] / temperature for j in range(len(rows)) if j != i]
        raised = [math.exp(s - max(similar)) for s in similar]
        shares = [r / sum(raised) for r in raised]
        total -= sum(s * math.log(s) for s in shares)
    return total / len(rows)


def validation(weights: np.ndarray, losses: np.ndarray) -> float:
    """The DEV risk of You et al. (2019), equation for equation."""
    weighted = weights * losses
    cov = float(
        np.mean((weighted - weighted.mean()) * (weights - weights.mean())) * len(weights) / (len(weights) - 1)
    )
    eta = -cov / float(np.var(weights, ddof=1))
    return float(weighted.mean() + eta * weights.mean() - eta)


def reverse(logits: np.ndarray, target: np.ndarray, source: np.ndarray, codes: np.ndarray) -> float:
    """Every source row to the nearest of the classes' weighted means, one distance after the other."""
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    means = [np.average(target, axis=0, weights=chances[:, k]) for k in range(logits.shape[1])]
    said = [min(range(len(means)), key=lambda k: ((row - means[k]) ** 2).sum()) for row in source]
    return sum(a == b for a, b in zip(said, codes, strict=True)) / len(source)


def silhouette(logits: np.ndarray) -> float:
    """Each image's mean distance to its predicted class against that to the nearest other one, pair by pair."""
    scores, said = [row - row.mean() for row in logits], [int(row.argmax()) for row in logits]
    found = []
    for i, own in enumerate(said):
        away: dict[int, list[float]] = {}
        for j, other in enumerate(said):
            if i != j:
                cosine = scores[i] @ scores[j] / math.sqrt((scores[i] @ scores[i]) * (scores[j] @ scores[j]))
                away.setdefault(other, []).append(1 - cosine)
        a, b = away.pop(own, []), min(sum(x) / len(x) for x in away.values())
        found.append((b - sum(a) / len(a)) / max(b, sum(a) / len(a)) if a else 0.0)
    return sum(found) / len(found)
