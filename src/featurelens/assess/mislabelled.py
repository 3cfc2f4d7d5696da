"""Labels that are likely wrong: what all other images say against what is written."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featurelens.assess.arrays import Labels, encode, unit
from featurelens.assess.neighbours import nearest
from featurelens.assess.probe_knn import vote
from featurelens.assess.probe_linear import probabilities
from featurelens.assess.splits import in_folds
from featurelens.shapes import Float

DOUBT = 0.1
_STRENGTH = 10.0
_NEIGHBOURS = 20


@dataclass(frozen=True)
class Suspect:
    """A row whose given label the features contradict; `doubt` is p(given) / p(suggested), small is bad."""

    row: int
    given: str
    suggested: str
    doubt: float


def mislabelled(
    features: Float[np.ndarray, "n d"], labels: Labels, *, doubt: float = DOUBT, seed: int = 0
) -> list[Suspect]:
    """Rows whose own label is less than `doubt` times as likely as another, most suspicious first.

    The probability is the mean of two judges that never saw the row's own label, as in confident learning
    (Northcutt et al. 2021): 5-fold logistic regression and the votes of 20 neighbours. A row alone in its class
    is not judged: without it nobody knows the class. An empty list where there are fewer than two classes or
    ten labelled rows. Raises MissingExtra without scikit-learn.
    """
    classes = encode(labels, len(features))
    known = np.flatnonzero(classes.known)
    codes, count, n = classes.codes[known], len(classes.names), len(known)
    if count < 2 or n < 10:
        return []
    rows = unit(features[known], np.float32)
    likely = np.zeros((n, count))
    for split in in_folds(codes, folds=5, seed=seed):
        likely[split.test] = probabilities(
            rows[split.train], codes[split.train], rows[split.test], count, _STRENGTH
        )
    indices, similarity = nearest(features[known], k=min(_NEIGHBOURS, n - 1))
    likely = (likely + vote(codes[indices], similarity, count)) / 2
    own = likely[np.arange(n), codes]
    others = likely.copy()
    others[np.arange(n), codes] = -1
    best = others.argmax(axis=1)
    ratio = own / np.maximum(others.max(axis=1), 1e-12)
    judged = classes.counts[codes] > 1
    worst = [i for i in np.argsort(ratio, kind="stable") if judged[i] and ratio[i] < doubt]
    return [
        Suspect(int(known[i]), classes.names[codes[i]], classes.names[best[i]], float(ratio[i]))
        for i in worst
    ]
