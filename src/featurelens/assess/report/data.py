"""The report as data: everything that the page shows, as one JSON document."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import Any

from featurelens.assess.choose import Choosing
from featurelens.assess.compare import FORMAT
from featurelens.assess.report.classes import class_rows
from featurelens.assess.report.words import short
from featurelens.assess.result import plain
from featurelens.assess.study import Assessment, confused

_KEEP_ROWS = 20_000
_PER_IMAGE = ("linear probe accuracy", "kNN accuracy, k = 10", "mAP", "silhouette (cosine)", "precision@1")
"""What `compare` can test in pairs."""
_BULKY = ("predicted", "probability", "eigenvalues")


def report_data(chosen: Choosing) -> dict[str, Any]:
    """A plain dictionary; row numbers in it count the images in the order of `ids`."""
    study, found = chosen.study, chosen.findings
    features = study.assessments[0].features
    labels = features.labels
    identity = repr((features.ids, labels)).encode("utf-8", "surrogatepass")
    return plain(
        {
            "format": FORMAT,
            "images": str(chosen.images),
            "n": len(features),
            "data": hashlib.sha256(identity).hexdigest()[:16],
            "classes": sorted(set(labels or ()) - {""}),
            "quality": study.quality,
            "best": study.best,
            "pareto": list(study.front),
            "backbones": [_backbone(a, a.name == study.best) for a in study.assessments],
            "tests": [{**asdict(t), "significant": t.significant} for t in study.tests],
            "agreement": [
                {"a": a, "b": b, "cka": cka, "neighbours": near}
                for (a, b), (cka, near) in study.agreement.items()
            ],
            "confused": [
                {"true": a, "taken_for": b, "times": n, "of": total}
                for a, b, n, total in confused(study[study.best])
            ],
            "by_class": [asdict(row) for row in class_rows(study[study.best])],
            "faults": {
                "copies": [_pair(p, features.ids) for p in found.pairs],
                "two_labels": [_pair(p, features.ids) for p in found.two_labels],
                "leaks": [_pair(p, features.ids) for p in found.leaks],
                "suspects": [{**asdict(s), "id": features.ids[s.row]} for s in found.suspects],
                "background": found.background,
            },
            "stability": [
                {"backbone": name, "kind": kind, "level": level, "measures": measures}
                for name, steady in chosen.stability.items()
                for (kind, level), measures in steady.items()
            ],
            "shift": {
                "against": None if chosen.against is None else str(chosen.against),
                "backbones": {name: found.to_json() for name, found in chosen.shifts.items()},
            },
            "sweep": [
                vars(c) | {"measures": list(c.measures), "against": c.against and asdict(c.against)}
                for c in chosen.sweep
            ],
            "failed": chosen.failed,
            "skipped": [{"id": name, "reason": reason} for name, reason in chosen.skipped],
        }
    )


def _backbone(assessment: Assessment, best: bool) -> dict[str, Any]:
    spec = assessment.features.spec
    measures = {name: _slim(m.to_json()) for name, m in assessment.measures.items()}
    rows = {
        name: m.per_item.round(5)
        for name, m in assessment.measures.items()
        if name in _PER_IMAGE and m.per_item is not None and len(m.per_item) <= _KEEP_ROWS
    }
    return {
        "name": assessment.name,
        "short": short(assessment.name),
        "dim": spec.dim,
        "size": [spec.fit.rows, spec.fit.cols],
        "licence": spec.licence,
        "fingerprint": spec.fingerprint,
        "images_per_second": assessment.cost.images_per_second,
        "memory_bytes": assessment.cost.memory_bytes,
        "measures": measures,
        "per_image": rows,
        "clusters": [asdict(group) for group in assessment.groups] if best else [],
    }


def _slim(measure: dict[str, Any]) -> dict[str, Any]:
    detail = {k: v for k, v in measure["detail"].items() if k not in _BULKY}
    return measure | {"detail": detail}


def _pair(pair: Any, ids: tuple[str, ...]) -> dict[str, Any]:
    return {"a": ids[pair.a], "b": ids[pair.b], "distance": pair.distance, "relative": pair.relative}
