"""What every measure returns: a number with its interval, its protocol and what chance would give."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from featurelens.shapes import Float

Better = Literal["higher", "lower", "neither"]


@dataclass(frozen=True)
class Measure:
    """One number about a set of features, with all that is needed to judge it.

    `interval` holds 95 % of the plausible values, `chance` is what shuffled labels (or features without
    structure) would give, `n` counts the rows that took part. Where a number is not defined, `value` is
    NaN and `undefined` says why. `per_item` are the row values that `value` averages, for paired tests;
    rows that took no part are NaN there.

    >>> Measure("precision@1", 0.71, n=1000, protocol="leave one out", chance=0.1).defined
    True
    """

    name: str
    value: float
    n: int
    protocol: str
    interval: tuple[float, float] | None = None
    chance: float | None = None
    better: Better = "higher"
    undefined: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    per_item: Float[np.ndarray, "n"] | None = field(default=None, repr=False, compare=False)

    @property
    def defined(self) -> bool:
        return self.undefined is None

    def __str__(self) -> str:
        if self.undefined is not None:
            return f"{self.name}: undefined ({self.undefined})"
        spread = f" [{self.interval[0]:.3f}, {self.interval[1]:.3f}]" if self.interval else ""
        chance = f", chance {self.chance:.3f}" if self.chance is not None else ""
        return f"{self.name}: {self.value:.3f}{spread}{chance} (n = {self.n})"

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary without the row values; numbers that are not finite become None."""
        names = ("name", "value", "n", "protocol", "interval", "chance", "better", "undefined", "detail")
        return {name: plain(getattr(self, name)) for name in names}


def undefined(
    name: str, reason: str, *, n: int, protocol: str, better: Better = "higher", **detail: Any
) -> Measure:
    """A measure that has no value here, with the reason in plain words."""
    return Measure(name, math.nan, n, protocol, better=better, undefined=reason, detail=detail)


def plain(value: Any) -> Any:
    """Any result as JSON types: arrays become lists, NaN and infinities None, tuples lists."""
    if isinstance(value, Measure):
        return value.to_json()
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple | set):
        return [plain(entry) for entry in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
