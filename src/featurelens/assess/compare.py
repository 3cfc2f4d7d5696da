"""Two reports side by side: what changed, and whether it is more than chance."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from featurelens.assess.result import Measure
from featurelens.assess.significance import Paired, paired
from featurelens.errors import InvalidInput

FORMAT = "featurelens-assess/1"
Verdict = Literal["better", "worse", "changed", "within noise", "unknown"]


@dataclass(frozen=True)
class Change:
    """One measure of one backbone before and after; the interval is that of the difference.

    `p` is that of the paired test, where both reports keep this measure's value for each of the same images.
    """

    backbone: str
    measure: str
    before: float
    after: float
    interval: tuple[float, float] | None
    verdict: Verdict
    p: float | None = None

    @property
    def difference(self) -> float:
        return self.after - self.before


def read_report(path: Path) -> dict[str, Any]:
    """The JSON report at `path`, or the one beside (or inside) the HTML page or folder that it names.

    Raises InvalidInput when there is none or it is no report of ours.
    """
    file = path / "report.json" if path.is_dir() else path
    file = file.with_suffix(".json") if file.suffix.lower() in (".html", ".htm") else file
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInput(
            f"{path} holds no report that can be read ({error}). Give the folder, report.html or report.json "
            "that 'featurelens assess' wrote."
        ) from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise InvalidInput(f"{file} is no report of this version; expected the format {FORMAT!r}.")
    return data


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """The changes of all measures that both reports have, by backbone name.

    Where each report has a single backbone (before and after fine-tuning, say), these two are compared
    whatever their names. On the same images, measures that keep a value per image are tested in pairs;
    otherwise the interval joins both reports' intervals as independent, which is cautious. Raises
    InvalidInput when no backbone stands in both.
    """
    old, new = ({b["name"]: b for b in report["backbones"]} for report in (before, after))
    if len(old) == len(new) == 1:
        (a, x), (b, y) = *old.items(), *new.items()
        pairs = [(a if a == b else f"{a} → {b}", x, y)]
    else:
        pairs = [(name, old[name], new[name]) for name in old if name in new]
    if not pairs:
        raise InvalidInput(
            f"No backbone stands in both reports: {', '.join(old)} against {', '.join(new)}. "
            "Assess the same backbone twice, or one backbone in each report."
        )
    same = same_images(before, after)
    return [
        _change(label, x["measures"][name], y["measures"][name], _pair(x, y, name) if same else None)
        for label, x, y in pairs
        for name in x["measures"]
        if name in y["measures"]
        and x["measures"][name]["value"] is not None
        and y["measures"][name]["value"] is not None
    ]


def _pair(x: Mapping[str, Any], y: Mapping[str, Any], name: str) -> Paired | None:
    """The paired test of after against before; None where a report keeps no values per image."""
    rows = [one.get("per_image", {}).get(name) for one in (y, x)]
    if not rows[0] or not rows[1] or len(rows[0]) != len(rows[1]):
        return None
    after, before = (
        Measure(
            name,
            0.0,
            len(row),
            "",
            detail=one["measures"][name].get("detail", {}),
            per_item=np.array([np.nan if v is None else v for v in row], float),
        )
        for row, one in zip(rows, (y, x), strict=True)
    )
    return paired(after, before)


def _change(
    backbone: str, before: Mapping[str, Any], after: Mapping[str, Any], pair: Paired | None
) -> Change:
    name, gap = before["name"], after["value"] - before["value"]
    if pair is not None:
        verdict = _verdict(gap, pair.significant, before["better"])
        return Change(backbone, name, before["value"], after["value"], pair.interval, verdict, pair.p)
    if before["interval"] is None or after["interval"] is None:
        unsure: Verdict = "within noise" if gap == 0 else "unknown"
        return Change(backbone, name, before["value"], after["value"], None, unsure)
    half = math.hypot(*((m["interval"][1] - m["interval"][0]) / 2 for m in (before, after)))
    verdict = _verdict(gap, abs(gap) > half, before["better"])
    return Change(backbone, name, before["value"], after["value"], (gap - half, gap + half), verdict)


def _verdict(gap: float, shown: bool, better: str) -> Verdict:
    if not shown:
        return "within noise"
    if better == "neither":
        return "changed"
    return "better" if (gap > 0) == (better == "higher") else "worse"


def same_images(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether both reports looked at the same images and labels."""
    return before.get("data") is not None and before["data"] == after.get("data")


def told(changes: Sequence[Change], quality: str | None) -> list[str]:
    """One sentence for each backbone: what became of the measure that ranks backbones, and of the others."""
    lines = []
    for backbone in dict.fromkeys(change.backbone for change in changes):
        own = [change for change in changes if change.backbone == backbone]
        count = Counter(change.verdict for change in own)
        all_of_them = ", ".join(f"{count[v]} {v}" for v in get_args(Verdict) if count[v])
        first = next((change for change in own if change.measure == quality), None)
        start = (
            f"{first.measure} {first.before:.3f} → {first.after:.3f} is {first.verdict}; " if first else ""
        )
        lines.append(f"{backbone}: {start}of {len(own)} measures {all_of_them}.")
    return lines
