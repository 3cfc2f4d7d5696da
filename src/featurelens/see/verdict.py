"""The checks' numbers as a verdict that a person can act on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from featurelens.see.trust import Trust

Level = Literal["good", "with care", "do not trust"]
SAME = 0.5  # rank correlation with the randomized network's map from which on a map shows too little learned
SURE = 2.0  # standard deviations above random orders


@dataclass(frozen=True)
class Verdict:
    """A level, and a sentence for each check."""

    level: Level
    words: str


def judge(trust: Trust) -> Verdict:
    """`good`: nothing speaks against the map. `do not trust`: it names places no better than chance, or does not
    depend on the weights. `with care`: everything between.
    """
    worst, said = 0, []
    for doubt, sentence in (_order(trust), _weights(trust), _sum(trust)):
        worst = max(worst, doubt)
        said.append(sentence)
    level: Level = ("good", "with care", "do not trust")[worst]
    head = {
        "good": "Trust: good.",
        "with care": "Trust: with care.",
        "do not trust": "Do NOT trust this map.",
    }[level]
    return Verdict(level, " ".join([head, *filter(None, said)]))


def _order(trust: Trust) -> tuple[int, str]:
    if trust.gain is None or trust.chance is None or trust.spread is None or trust.edges is None:
        return 1, "Blurring the image does not change the score, so it cannot be tested which places count."
    numbers = f"insertion minus deletion {trust.gain:+.2f}, random {trust.chance:+.2f} ± {trust.spread:.2f}"
    if trust.gain <= trust.chance + SURE * trust.spread:
        return 2, f"The places that it names count no more than random ones ({numbers})."
    if trust.gain <= trust.edges:
        return 1, (
            f"Its places count more than random ones, but no more than those of a plain edge filter "
            f"({numbers}, edges {trust.edges:+.2f})."
        )
    return 0, f"The places that it names are those that count ({numbers}, edges {trust.edges:+.2f})."


def _weights(trust: Trust) -> tuple[int, str]:
    if not trust.randomized:
        return (
            1,
            "The method does not run on a randomized copy, so it is not known how much shows what was learned.",
        )
    last = trust.randomized[-1]
    if abs(last) >= 0.8:
        return (
            2,
            f"It hardly changes when all weights are random (rank correlation {last:.2f}): it shows the image.",
        )
    if abs(last) >= SAME:
        return 1, f"Much of it stays when all weights are random (rank correlation {last:.2f})."
    return 0, f"It depends on what was learned (rank correlation with a random network's map: {last:.2f})."


def _sum(trust: Trust) -> tuple[int, str]:
    if trust.gap is None:
        return 0, ""
    if not trust.complete:
        return 1, f"It misses {100 * trust.gap:.1f} % of the score's rise over the baseline: take more steps."
    return 0, f"It adds up to the score's rise over the baseline (gap {100 * trust.gap:.2g} %)."
