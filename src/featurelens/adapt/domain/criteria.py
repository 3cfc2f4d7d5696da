"""Which adapted network to take, without a label of the target: criteria, each higher where it should be better."""

from __future__ import annotations

import warnings

import numpy as np

from featurelens.errors import InvalidInput, MissingExtra
from featurelens.shapes import Float, Float64, Int64

CRITERIA = ("clarity", "infomax", "silhouette", "density", "validation", "reverse")


def information(logits: Float[np.ndarray, "n target"]) -> float:
    """Mutual information of image and predicted class, in nats (Shi & Sha 2012; as a validator Musgrave et al. 2022).

    The entropy of the mean prediction less the mean entropy: sure of each image, and not of one class for all.

    >>> round(information(100 * np.eye(4)), 3), information(np.zeros((4, 4)))
    (1.386, 0.0)
    """
    chances = softmax(_table(logits))
    return float(_entropy(chances.mean(0, keepdims=True))[0] - _entropy(chances).mean())


def silhouette(logits: Float[np.ndarray, "n target"]) -> float:
    """Mean silhouette (Rousseeuw 1987) of the predicted classes, -1 to 1, by the angle between centred class scores.

    Whether each image's scores point where those of its own predicted class do, and away from the next class. However
    large scores are plays no part, as it does in `information`; of two classes that are both predicted it is always 1.
    As a choice without labels: Robbiano et al. 2022 (there of k-means' clusters). An image alone in its class counts 0,
    and where all are given one class it is -1.

    >>> silhouette(9 * np.repeat(np.eye(3), 2, axis=0)), silhouette(np.eye(3)[[0, 0, 0]])
    (1.0, -1.0)
    """
    scores = _table(logits).astype(np.float64)
    _, said, counts = np.unique(scores.argmax(1), return_inverse=True, return_counts=True)
    if len(counts) < 2:
        return -1.0
    scores = scores - scores.mean(1, keepdims=True)
    lengths = np.linalg.norm(scores, axis=1, keepdims=True)
    unit = scores / np.where(lengths > 0, lengths, 1.0)
    sums = np.stack([unit[said == k].sum(0) for k in range(len(counts))])
    row = np.arange(len(unit))
    alike = unit @ sums.T
    own = (alike[row, said] - (unit**2).sum(1)) / np.maximum(counts[said] - 1, 1)
    alike /= counts
    alike[row, said] = -np.inf
    own, other = np.maximum(1 - own, 0), np.maximum(1 - alike.max(1), 0)
    wider = np.maximum(own, other)
    found = np.divide(other - own, wider, out=np.zeros(len(unit)), where=(wider > 0) & (counts[said] > 1))
    return float(found.mean())


def clarity(logits: Float[np.ndarray, "n target"]) -> float:
    """`information` times `silhouette` (0 where that is below 0): sure, even, and apart.

    Information alone likes whoever makes scores large: a classifier that goes on learning before one that stays as it was,
    whether the images lie any better. Silhouette alone overlooks what falls into few classes. Of a product the unit of neither
    matters.

    >>> round(clarity(100 * np.repeat(np.eye(4), 2, axis=0)), 3), clarity(np.eye(4)[[0, 0, 0]])
    (1.386, 0.0)
    """
    return information(logits) * max(silhouette(logits), 0.0)


def soft_density(logits: Float[np.ndarray, "n target"], *, temperature: float = 0.05) -> float:
    """Soft neighbourhood density (Saito et al. 2021): the mean entropy of each prediction's similarity to all others.

    Large where images gather in dense groups of alike predictions. At most log(n − 1).

    >>> round(soft_density(np.zeros((5, 3))), 3)  # all alike: log 4
    1.386
    """
    chances = softmax(_table(logits))
    if len(chances) < 3:
        raise InvalidInput(f"Density needs three images or more; there are {len(chances)}.")
    unit = chances / np.linalg.norm(chances, axis=1, keepdims=True)
    total = 0.0
    for start in range(0, len(unit), 1024):
        similar = unit[start : start + 1024] @ unit.T / temperature
        similar[np.arange(len(similar)), np.arange(start, start + len(similar))] = -np.inf
        total += float(_entropy(softmax(similar)).sum())
    return total / len(unit)


def deep_validation(
    teach: Float[np.ndarray, "a dim"], held: Float[np.ndarray, "b dim"], target: Float[np.ndarray, "c dim"],
    losses: Float[np.ndarray, "b"],
) -> float:  # fmt: skip
    """Deep embedded validation (You et al. 2019): minus the loss that held-out source images foretell for the target.

    A classifier of the domains on `teach` against `target` tells how much like the target each held-out image is;
    the losses are weighted with that, and a control variate keeps their variance low. Raises MissingExtra without
    scikit-learn.

    >>> rows = np.random.default_rng(0).normal(size=(90, 3))
    >>> round(deep_validation(rows[:30], rows[30:60], rows[60:], np.full(30, 0.7)), 3)
    -0.7
    """
    weights = density_ratio(teach, held, target)
    if weights.var() < 1e-12:
        return -float((weights * losses).mean())
    weighted = weights * losses
    eta = -float(np.cov(weighted, weights, ddof=1)[0, 1] / weights.var(ddof=1))
    return -float(weighted.mean() + eta * weights.mean() - eta)


def density_ratio(
    teach: Float[np.ndarray, "a dim"], held: Float[np.ndarray, "b dim"], target: Float[np.ndarray, "c dim"]
) -> Float64[np.ndarray, "b"]:
    """How much likelier each held row is under the target than under the source, by a logistic regression."""
    try:
        from sklearn.linear_model import LogisticRegression
    except ModuleNotFoundError as error:
        raise MissingExtra("scikit-learn", "lab", "Deep embedded validation") from error
    rows = np.concatenate([teach, target]).astype(np.float64)
    mean, spread = rows.mean(0), np.sqrt(rows.var(0).sum()) or 1.0
    told = LogisticRegression(C=10.0, max_iter=200)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a ratio does not need the last digit
        told.fit((rows - mean) / spread, [0] * len(teach) + [1] * len(target))
    odds = told.decision_function((held - mean) / spread)
    return np.exp(np.clip(odds, -20, 20)) * len(teach) / len(target)


def reverse_validation(
    logits: Float[np.ndarray, "n target"], target: Float[np.ndarray, "n dim"],
    source: Float[np.ndarray, "m dim"], codes: Int64[np.ndarray, "m"],
) -> float:  # fmt: skip
    """How many source images the target's predictions get right again (Zhong et al. 2010, Ganin et al. 2016).

    Each class is the mean of the target images, weighted by its predicted chance, and each source image goes to the
    nearest: right where both domains lie in the same places, and no class has lost its images to another.

    >>> rows = np.repeat(np.eye(3), 4, axis=0)
    >>> codes = np.repeat([0, 1, 2], 4)
    >>> [round(reverse_validation(9 * said, rows, rows, codes), 2) for said in (rows, rows[:, [1, 0, 2]])]
    [1.0, 0.33]
    """
    middle = target.mean(0, dtype=np.float64)
    chances = softmax(logits)
    means = chances.T @ (target - middle) / np.maximum(chances.sum(0)[:, None], 1e-12)
    near = 2 * (source - middle) @ means.T - (means**2).sum(1)
    return float((near.argmax(1) == codes).mean())


def measured(
    logits: Float[np.ndarray, "n target"], target: Float[np.ndarray, "n dim"],
    teach: Float[np.ndarray, "a dim"], teach_codes: Int64[np.ndarray, "a"],
    held: Float[np.ndarray, "b dim"], held_logits: Float[np.ndarray, "b target"], held_codes: Int64[np.ndarray, "b"],
) -> dict[str, float | None]:  # fmt: skip
    """All of CRITERIA by name, on held-out source images; without any "validation" is None, "reverse" on the others."""
    losses = -np.log(np.maximum(softmax(held_logits.astype(np.float64)), 1e-12))
    losses = losses[np.arange(len(held_codes)), held_codes]
    source, codes = (held, held_codes) if len(held) else (teach, teach_codes)
    return {
        "clarity": clarity(logits),
        "infomax": information(logits),
        "silhouette": silhouette(logits),
        "density": soft_density(logits),
        "validation": deep_validation(teach, held, target, losses) if len(held) > 1 else None,
        "reverse": reverse_validation(logits, target, source, codes),
    }


def softmax(logits: Float[np.ndarray, "n k"]) -> Float64[np.ndarray, "n k"]:
    """Rows that sum to 1."""
    raised = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    return raised / raised.sum(1, keepdims=True)


def _entropy(chances: Float64[np.ndarray, "n k"]) -> Float64[np.ndarray, "n"]:
    return -(chances * np.log(np.maximum(chances, 1e-300))).sum(-1)


def _table(logits: Float[np.ndarray, "n target"]) -> Float[np.ndarray, "n target"]:
    if not len(logits) or not np.isfinite(logits).all():
        raise InvalidInput("Criteria need finite class scores of one image or more.")
    return logits
