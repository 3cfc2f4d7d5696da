"""The report as one HTML page that needs nothing else, and both files written side by side."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup

from featurelens.assess.choose import Choosing
from featurelens.assess.report.advice import (
    answer,
    cautions,
    drift_rows,
    extremes,
    steady_rows,
    steady_words,
    strongest,
    sweep_words,
)
from featurelens.assess.report.charts import interval_bar, learning_curve, pareto_chart, stability_chart
from featurelens.assess.report.classes import class_rows, told_by_frame
from featurelens.assess.report.data import report_data
from featurelens.assess.report.format import megabytes, number, rate, span
from featurelens.assess.report.maps import MAPS, confusion_matrix, embedding_map
from featurelens.assess.report.thumbnails import Thumbnails
from featurelens.assess.report.words import GROUPS, SHOWN, short, words
from featurelens.assess.result import Measure
from featurelens.assess.study import Assessment, confused
from featurelens.assess.threads import one_thread
from featurelens.wording import count, printable

_SHOTS = (1, 2, 4, 8, 16)


def render(chosen: Choosing, *, map_by: str = "pca", at: datetime | None = None) -> str:
    """The page as text; `map_by` is one of MAPS, `at` the date it shows (default: now)."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("featurelens.assess.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(short=short, number=number, bytes=megabytes, printable=printable, span=span)
    environment.filters.update(heading=lambda name: SHOWN.get(name, name), count=count, rate=rate)
    with one_thread():
        context = _context(chosen, map_by, at or datetime.now(UTC))
    return environment.get_template("report.html.j2").render(context)


def write_report(chosen: Choosing, folder: Path, *, map_by: str = "pca") -> tuple[Path, Path]:
    """Write `report.html` and `report.json` into the folder, each whole or not at all.

    `map_by` is one of MAPS. Raises what `check_map` does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    document = json.dumps(report_data(chosen), allow_nan=False, indent=1)
    page, data = folder / "report.html", folder / "report.json"
    for target, text in ((page, render(chosen, map_by=map_by)), (data, document)):
        partial = target.with_suffix(target.suffix + ".tmp")
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")
        os.replace(partial, target)
    return page, data


def _context(chosen: Choosing, map_by: str, at: datetime) -> dict[str, Any]:
    study = chosen.study
    best = study[study.best]
    features = best.features
    probe = best.measures.get("linear probe accuracy")
    harm = chosen.stability.get(study.best, {})
    steady = steady_rows(study, chosen.stability)
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
        "thumb": Thumbnails(chosen.images, features.ids, features.spec),
        "answer": answer(study),
        "cautions": cautions(study),
        "columns": [name for name in SHOWN if any(name in a.measures for a in study.assessments)],
        "groups": _groups(best),
        "class_rows": class_rows(best),
        "told": told_by_frame(chosen.findings.background, features.labels),
        "pareto": Markup(pareto_chart(study)),
        "curve": Markup(learning_curve({a.name: _curve(a) for a in study.assessments})),
        "map": Markup(embedding_map(features, by=map_by)),
        "map_words": MAPS[map_by],
        "matrix": Markup(matrix),
        "confused": confused(best),
        "drift": Markup(stability_chart(harm, "drift")),
        "kept": Markup(stability_chart(harm, "neighbour overlap@10")),
        "lost": Markup(stability_chart(harm, "accuracy drop")),
        "harm": harm,
        "steady": steady,
        "steady_words": steady_words(steady),
        "drifts": drift_rows(steady, chosen.stability),
        "sweep_words": sweep_words(chosen.sweep),
        "extremes": extremes(harm),
        "strongest": strongest(harm),
        "shots": _SHOTS,
        "few": [
            (a.name, [a.measures.get(f"{shot}-shot accuracy") for shot in _SHOTS]) for a in study.assessments
        ],
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
                told = now[0] == before[0] and now[1] in ("", before[1]) and not one.undefined
                rows.append((one, told))
                before = now
        if rows:
            result.append((group, rows))
    return result


def _curve(assessment: Assessment) -> list[tuple[int, Measure]]:
    names = {shot: f"{shot}-shot accuracy" for shot in _SHOTS}
    return [(s, assessment.measures[name]) for s, name in names.items() if name in assessment.measures]
