"""How far two domains lie apart in the features of one backbone: as a whole, and class by class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from featurelens.assess.agreement import linear_cka
from featurelens.assess.arrays import encode
from featurelens.assess.probe_linear import linear_probe
from featurelens.assess.result import Measure, plain, undefined
from featurelens.assess.shift_kernels import MOST, check_pair, coral_distance, mmd, shift_cka
from featurelens.assess.threads import one_thread
from featurelens.errors import InvalidInput, SpecMismatch
from featurelens.features.table import Features
from featurelens.shapes import Float


@dataclass(frozen=True)
class Shift:
    """The measures of the whole shift by name, MMD² of each class that both domains know, and the class mixture.

    `mixture` is the total variation distance of the class shares (0: the same mixture, 1: no class in common),
    None without labels on both sides. `only_source` and `only_target` are classes that the other side lacks.
    """

    measures: Mapping[str, Measure]
    classes: Mapping[str, Measure] = field(default_factory=dict)
    mixture: float | None = None
    only_source: tuple[str, ...] = ()
    only_target: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {name: plain(getattr(self, name)) for name in self.__dataclass_fields__}


def shift(source: Features, target: Features, *, paired: bool = False, seed: int = 0) -> Shift:
    """Measure how far `target` lies from `source`, both embedded by one backbone.

    Classes are compared where both sides have labels. `paired`: both hold the same photos in two domains, under the
    same names, and these pairs are compared too, by CKA. Raises SpecMismatch for features of two backbones, MissingExtra
    without scikit-learn.
    """
    if source.spec.fingerprint != target.spec.fingerprint:
        raise SpecMismatch(
            f"The shift is measured in the features of one backbone; these come from '{source.spec.name}' "
            f"({source.spec.fingerprint}) and '{target.spec.name}' ({target.spec.fingerprint})."
        )
    x, y = source.vectors, target.vectors
    with one_thread():
        found = [
            proxy_a_distance(x, y, seed=seed),
            mmd(x, y, seed=seed),
            coral_distance(x, y, relative=True, seed=seed),
            shift_cka(x, y, seed=seed),
        ]
        place = {name: row for row, name in enumerate(target.ids)}
        pairs = [(row, place[name]) for row, name in enumerate(source.ids) if name in place]
        if paired:
            if len(pairs) < 4:
                raise InvalidInput(
                    f"paired=True needs four images or more of the same name; there are {len(pairs)}."
                )
            rows = np.array(pairs)
            found.append(linear_cka(x[rows[:, 0]], y[rows[:, 1]], debiased=True))
        measures = {one.name: one for one in found}
        if not (source.labels and target.labels and any(source.labels) and any(target.labels)):
            return Shift(measures)
        a, b = encode(source.labels, len(source)), encode(target.labels, len(target))
        names = sorted({*a.names, *b.names})
        shares = [
            np.array([dict(zip(side.names, side.counts, strict=True)).get(n, 0) for n in names])
            / max(int(side.counts.sum()), 1)
            for side in (a, b)
        ]
        return Shift(
            measures,
            class_shift(x, source.labels, y, target.labels, seed=seed),
            float(np.abs(shares[0] - shares[1]).sum() / 2),
            tuple(n for n in a.names if n not in b.names),
            tuple(n for n in b.names if n not in a.names),
        )


def proxy_a_distance(x: Float[np.ndarray, "n d1"], y: Float[np.ndarray, "m d2"], *, seed: int = 0) -> Measure:
    """2 (1 − 2 ε), ε the error of a linear classifier that tells the domains apart (Ben-David et al. 2007).

    2: every image gives its domain away; 0: none does. Both sides count alike: of the larger one as many rows are
    drawn. Undefined below ten rows a side. Raises MissingExtra without scikit-learn, InvalidInput for tables of different width.

    >>> x = np.random.default_rng(0).normal(size=(60, 4))
    >>> proxy_a_distance(x, x + 10.0).value > 1.5
    True
    """
    check_pair(x, y)
    random = np.random.default_rng(seed)
    size = min(len(x), len(y), MOST)
    protocol = "2 (1 - 2 error) of a linear classifier of the domains, 5 folds, as many images of each"
    if size < 10:
        reason = f"each side needs ten images; the smaller has {size}"
        return undefined("proxy A-distance", reason, n=2 * size, protocol=protocol, better="lower")
    rows = np.concatenate([one[random.permutation(len(one))[:size]] for one in (x, y)])
    told = linear_probe(rows, ["source"] * size + ["target"] * size, grid=(10.0,), seed=seed)
    interval = told.interval and (_distance(told.interval[0]), _distance(told.interval[1]))
    return Measure(
        "proxy A-distance",
        _distance(told.value),
        2 * size,
        f"{protocol}; {told.protocol}",
        interval=interval,
        chance=0.0,
        better="lower",
        detail={"error": 1 - told.value},
    )


def class_shift(
    x: Float[np.ndarray, "n d1"], labels_x: tuple[str, ...] | list[str],
    y: Float[np.ndarray, "m d2"], labels_y: tuple[str, ...] | list[str], *, seed: int = 0,
) -> dict[str, Measure]:  # fmt: skip
    """MMD² between the two domains' images of each class that both have, the furthest class first.

    >>> x = np.random.default_rng(0).normal(size=(40, 4))
    >>> y = x + np.repeat([0.0, 5.0], 20)[:, None]
    >>> list(class_shift(x, ["still"] * 20 + ["moved"] * 20, y, ["still"] * 20 + ["moved"] * 20))
    ['moved', 'still']
    """
    check_pair(x, y)
    a, b = encode(labels_x, len(x)), encode(labels_y, len(y))
    found = {
        name: mmd(
            x[a.codes == a.names.index(name)], y[b.codes == b.names.index(name)], seed=seed
        )
        for name in a.names
        if name in b.names
    }  # fmt: skip
    return dict(sorted(found.items(), key=lambda one: -np.nan_to_num(one[1].value, nan=-np.inf)))


def _distance(accuracy: float) -> float:
    return 2 * (2 * accuracy - 1)
