"""The report as one HTML page that needs nothing else, and both files written side by side."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup

from featurelens.assess.choose import Choosing
from featurelens.assess.report.charts import interval_bar, learning_curve, pareto_chart, stability_chart
from featurelens.assess.report.data import report_data
from featurelens.assess.report.maps import confusion_matrix, embedding_map
from featurelens.assess.report.thumbnails import Thumbnails
from featurelens.assess.report.words import GROUPS, short, words
from featurelens.assess.result import Measure
from featurelens.assess.study import Assessment, Study, confused
from featurelens.assess.threads import one_thread

_SHOTS = (1, 2, 4, 8, 16)
_SHOWN = {
    "linear probe accuracy": "linear probe",
    "kNN accuracy, k = 10": "kNN (10)",
    "mAP": "mAP",
    "silhouette (cosine)": "silhouette",
    "RankMe": "RankMe",
}
_IN_PICTURES = {
    "noise": "noise",
    "blur": "blur",
    "jpeg": "strong JPEG compression",
    "brightness": "other brightness",
    "contrast": "low contrast",
    "crop": "tight crops",
    "rotation": "rotation",
    "scale": "low resolution",
    "occlusion": "covered parts",
}


def render(chosen: Choosing, *, at: datetime | None = None) -> str:
    """The page as text; `at` is the date it shows (default: now)."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("featurelens.assess.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(short=short, number=number, bytes=megabytes, printable=printable, span=span)
    environment.filters.update(heading=lambda name: _SHOWN.get(name, name))
    with one_thread():
        context = _context(chosen, at or datetime.now(UTC))
    return environment.get_template("report.html.j2").render(context)


def write_report(chosen: Choosing, folder: Path) -> tuple[Path, Path]:
    """Write `report.html` and `report.json` into the folder, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    document = json.dumps(report_data(chosen), allow_nan=False, indent=1)
    page, data = folder / "report.html", folder / "report.json"
    for target, text in ((page, render(chosen)), (data, document)):
        partial = target.with_suffix(target.suffix + ".tmp")
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")
        os.replace(partial, target)
    return page, data


def _context(chosen: Choosing, at: datetime) -> dict[str, Any]:
    study = chosen.study
    best = study[study.best]
    features = best.features
    probe = best.measures.get("linear probe accuracy")
    matrix = ""
    if probe is not None and probe.defined:
        matrix = confusion_matrix(probe.detail["confusion"], probe.detail["classes"])
    return {
        "study": study,
        "best": best,
        "found": chosen.findings,
        "chosen": chosen,
        "date": at.strftime("%Y-%m-%d"),
        "ids": [printable(name) for name in features.ids],
        "labels": features.labels,
        "classes": sorted(set(features.labels or ()) - {""}),
        "thumb": Thumbnails(chosen.images, features.ids),
        "answer": answer(study),
        "cautions": cautions(study),
        "columns": [name for name in _SHOWN if any(name in a.measures for a in study.assessments)],
        "groups": _groups(best),
        "pareto": Markup(pareto_chart(study)),
        "curve": Markup(learning_curve({a.name: _curve(a) for a in study.assessments})),
        "map": Markup(embedding_map(features)),
        "matrix": Markup(matrix),
        "confused": confused(best),
        "drift": Markup(stability_chart(chosen.stability, "drift")),
        "kept": Markup(stability_chart(chosen.stability, "neighbour overlap@10")),
        "lost": Markup(stability_chart(chosen.stability, "accuracy drop")),
        "steadiest": _extremes(chosen),
        "bar": lambda measure: Markup(interval_bar(measure)),
        "words": words,
    }


def _groups(best: Assessment) -> list[tuple[str, list[tuple[Measure, bool]]]]:
    """The best backbone's measures under the headings of the page; True: the row above says the same words."""
    result = []
    for group in GROUPS:
        rows: list[tuple[Measure, bool]] = []
        before = ("", "")
        for one in best.measures.values():
            said = words(one)
            if said.group == group:
                now = (said.meaning, "" if one.undefined else said.advice(one))
                rows.append((one, now == before and not one.undefined))
                before = now
        if rows:
            result.append((group, rows))
    return result


def _curve(assessment: Assessment) -> list[tuple[int, Measure]]:
    names = {shot: f"{shot}-shot accuracy" for shot in _SHOTS}
    return [(s, assessment.measures[name]) for s, name in names.items() if name in assessment.measures]


def _extremes(chosen: Choosing) -> tuple[str, str] | None:
    """The kinds of harm that move the features least and most at their strongest level."""
    strongest: dict[str, tuple[float, float]] = {}
    for (kind, level), measures in chosen.stability.items():
        if measures["drift"].defined and level >= strongest.get(kind, (-1.0, 0.0))[0]:
            strongest[kind] = (level, measures["drift"].value)
    if len(strongest) < 2:
        return None
    order = sorted(strongest, key=lambda kind: strongest[kind][1])
    return _IN_PICTURES.get(order[0], order[0]), _IN_PICTURES.get(order[-1], order[-1])


def answer(study: Study) -> str:
    """Which backbone to take, in one or two sentences."""
    best = study[study.best]
    if study.quality is None:
        return (
            "There are no labels that allow a ranking, so no backbone is recommended; the measures below "
            "describe the features without labels and are hints only."
        )
    m = best.measures[study.quality]
    spread = f" (95 % interval {m.interval[0]:.3f} to {m.interval[1]:.3f})" if m.interval else ""
    chance = f", where chance gives {m.chance:.3f}" if m.chance is not None else ""
    first = f"Take {short(best.name)}: its {study.quality} is {m.value:.3f}{spread}{chance}."
    ties = [t for t in study.tests if not t.significant]
    if ties:
        names = " and ".join(short(t.b) for t in ties)
        fastest = max(
            (study[name] for name in (best.name, *(t.b for t in ties))),
            key=lambda a: a.cost.images_per_second or 0,
        )
        hint = (
            f" {short(fastest.name)} is the fastest of these ({fastest.cost.images_per_second:.0f} images a second)."
            if fastest.cost.images_per_second
            else ""
        )
        return f"{first} It is not significantly better than {names} on these images.{hint}"
    if study.tests:
        return f"{first} It is significantly better than every other one here."
    return first


def cautions(study: Study) -> list[str]:
    """What limits the answer, in plain sentences."""
    features = study.assessments[0].features
    labels = [label for label in features.labels or () if label]
    found = []
    if labels:
        sizes = {label: labels.count(label) for label in set(labels)}
        smallest = min(sizes, key=lambda label: (sizes[label], label))
        if sizes[smallest] < 20:
            found.append(
                f"The class '{smallest}' has only {sizes[smallest]} images: numbers for it are rough, "
                "and the intervals are wide for a reason."
            )
        if max(sizes.values()) > 5 * min(sizes.values()):
            found.append("Classes differ much in size: accuracy is dominated by the large ones.")
    if len(features) < 200:
        found.append(f"{len(features)} images are few: look at the intervals before the values.")
    if any(a.name.startswith("random:") for a in study.assessments):
        found.append("A network with random weights takes part as a floor; it is not a choice.")
    return found


def number(value: float | None) -> str:
    """Three digits that matter, without exponents."""
    if value is None or value != value:
        return "–"
    size = abs(value)
    digits = 0 if size >= 100 or (size > 1 and size == int(size)) else 1 if size >= 10 else 3
    return f"{value:.{digits}f}".replace("-", "−")


def span(interval: tuple[float, float]) -> str:
    """An interval in words, safe with negative numbers."""
    return f"{number(interval[0])} to {number(interval[1])}"


def megabytes(value: int | None) -> str:
    """Bytes as MB."""
    return "–" if value is None else f"{value / 1e6:.0f} MB"


def printable(name: str) -> str:
    """A file name as one line that any page can hold."""
    text = name.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
