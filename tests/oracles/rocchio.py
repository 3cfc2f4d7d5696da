"""Rocchio's formula, number by number."""

from __future__ import annotations

import math


def rocchio(more: list[list[float]], less: list[list[float]], everything: list[list[float]]) -> list[float]:
    """mean(more) - 0.4 mean(less) - 0.5 mean(everything), at length one."""
    found = []
    for place in range(len(more[0])):
        value = sum(one[place] for one in more) / len(more)
        if less:
            value -= 0.4 * sum(one[place] for one in less) / len(less)
        value -= 0.5 * sum(one[place] for one in everything) / len(everything)
        found.append(value)
    length = math.sqrt(sum(value * value for value in found))
    return [value / length for value in found]
