"""Which choices are not beaten in every respect at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def pareto(points: Mapping[str, Sequence[float | None]]) -> list[str]:
    """The names whose figures (higher is better in each) no other name reaches all and beats in one.

    A figure that is None is unknown: with it, a name beats nobody who knows that figure.

    >>> pareto({"small": (0.7, 100.0), "large": (0.8, 10.0), "bad": (0.6, 50.0)})
    ['small', 'large']
    """

    def beats(a: Sequence[float | None], b: Sequence[float | None]) -> bool:
        if any(x is None and y is not None for x, y in zip(a, b, strict=True)):
            return False
        known = [(x, y) for x, y in zip(a, b, strict=True) if x is not None and y is not None]
        return bool(known) and all(x >= y for x, y in known) and any(x > y for x, y in known)

    return [
        name
        for name, own in points.items()
        if not any(beats(other, own) for rival, other in points.items() if rival != name)
    ]
