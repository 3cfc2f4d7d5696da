"""What domain adaptation gives: a backbone again, what changed, and a plain word where it hurts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from featurelens.adapt.domain.adapting import Adapting
from featurelens.adapt.domain.candidates import NONE, Candidate
from featurelens.adapt.domain.change import Change
from featurelens.adapt.domain.source_head import LinearHead
from featurelens.adapt.domain.teach import Checkpoint
from featurelens.adapt.scores import Scores
from featurelens.shapes import Float32, Int64

WITNESSES = ("infomax", "silhouette", "validation", "reverse")
"""The criteria that may say that adaptation hurts. Not density, which is lower after good adaptations too."""


@dataclass(frozen=True, eq=False)
class Adapted:
    """The adapted backbone and the report: the target before and after, with labels where the target has any.

    `tried` are the figures of every candidate: "none" first, then each method's epochs. `chosen` and `unadapted`
    hold both domains' unit rows before and after (for measures of the shift) and the scores of all target images.
    `change` is None without target labels; `warnings` say in plain words what to mind.
    """

    backbone: Any
    classes: tuple[str, ...]
    adapting: Adapting
    chosen: Candidate
    unadapted: Candidate
    tried: tuple[Checkpoint, ...]
    before: Scores | None
    after: Scores | None
    change: Change | None
    best_known: Checkpoint | None
    warnings: tuple[str, ...]
    source_ids: tuple[str, ...]
    target_ids: tuple[str, ...]
    source_codes: Int64[np.ndarray, "n"]
    target_codes: Int64[np.ndarray, "m"]
    skipped: tuple[tuple[str, str], ...]
    rule: str
    origin: str

    @property
    def method(self) -> str:
        """The method that was taken; "none" where nothing was better than leaving all as it was."""
        return self.chosen.figures.method

    @property
    def epoch(self) -> int:
        """The epoch that was taken (0: nothing was learnt)."""
        return self.chosen.figures.epoch

    @property
    def logits(self) -> Float32[np.ndarray, "m target"]:
        """Class scores of all target images."""
        return self.chosen.logits

    @property
    def head(self) -> LinearHead:
        """The classifier on what `embed` of the adapted backbone gives."""
        return self.chosen.head

    @property
    def for_target_only(self) -> bool:
        """Whether source images should go on to the network as it was (CORAL and AdaBN)."""
        return self.chosen.figures.epoch == 0 and self.method != NONE

    def save(self, folder: str | Path) -> str:
        """Write the result folder (see `save_adapted`) and return the name that `load_backbone` takes."""
        from featurelens.adapt.domain.saved import save_adapted

        return save_adapted(self, Path(folder))


def warnings_of(
    adapting: Adapting, before: Candidate, after: Candidate, change: Change | None, *, unlike: list[str], few: int
) -> tuple[str, ...]:  # fmt: skip
    """What a user should mind, in plain words."""
    told = list(unlike)
    method = after.figures.method
    if method == NONE:
        told.append(
            f"Nothing was adapted: by the criterion '{adapting.criterion}' no method was better than the network as it was."
        )
    elif change is not None and change.difference < 0:
        low, high = change.interval
        sure = "" if high < 0 else "; it may be chance, since the interval reaches 0"
        told.append(
            f"Adaptation hurts: {method} loses {-change.difference:.1%} of the labelled target images ({low:+.1%} to "
            f"{high:+.1%}){sure}. Take the network as it was, or another method."
        )
    elif change is None:
        told_by = [{name: one.figures.criteria.get(name) for name in WITNESSES} for one in (before, after)]
        worse = worse_criteria(*told_by)
        if len(worse) > 1:
            told.append(
                f"Adaptation probably hurts: without target labels nobody knows, but {' and '.join(worse)} are worse "
                "after than before. Label some twenty target images to be sure."
            )
    if few < 100:
        told.append(
            f"The target has only {few} images; what is adapted to so few may not hold for others of its kind."
        )
    return tuple(told)


def worse_criteria(before: dict[str, float | None], after: dict[str, float | None]) -> list[str]:
    """The criteria by which `after` is worse.

    >>> worse_criteria({"a": 1.0, "b": None, "c": 0.0}, {"a": 0.5, "b": 2.0, "c": 0.1})
    ['a']
    """
    return [
        name
        for name, value in before.items()
        if value is not None and (now := after.get(name)) is not None and now < value
    ]
