"""The report of `assess` in the words of the REST service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from featurelens.web.shown import readable, shown

if TYPE_CHECKING:
    from featurelens.web.service import Service

_SHOWN = 50  # of each kind of finding


def quality_of(service: Service) -> dict[str, Any]:
    """Scores of the best backbone, and findings with their images."""
    held = service.results.get("quality")
    if held is None:
        return {"made": None, "report": None, "answer": None, "scores": [], "findings": []}
    data, faults = held["data"], held["data"]["faults"]
    best = next(one for one in data["backbones"] if one["name"] == data["best"])
    named = service.listing.named(
        [
            one[key]
            for kind in ("two_labels", "leaks", "copies")
            for one in faults[kind][:_SHOWN]
            for key in "ab"
        ]
        + [one["id"] for one in faults["suspects"][:_SHOWN]]
    )

    def hit(name: str) -> dict[str, Any]:
        if name in named:
            return shown(named[name]).model_dump(exclude_unset=True)
        return {"id": None, "name": readable(name)}

    findings = []
    for kind, words in _PAIRS.items():
        pairs = faults[kind][:_SHOWN]
        findings += [
            {"kind": kind, "words": words, "images": [hit(one["a"]), hit(one["b"])]} for one in pairs
        ]
    findings += [
        {
            "kind": "suspect",
            "words": f"Labelled {one['given']}, looks like {one['suggested']}",
            "images": [hit(one["id"])],
        }
        for one in faults["suspects"][:_SHOWN]
    ]
    return {
        "made": held["made"],
        "report": "/api/v1/quality/report",
        "answer": held["answer"],
        "scores": [_score(one) for one in best["measures"].values()],
        "findings": findings,
    }


_PAIRS = {
    "two_labels": "One image under two labels",
    "leaks": "Near-copies on both sides of the test",
    "copies": "Near-copies",
}


def _score(measure: dict[str, Any]) -> dict[str, Any]:
    low, high = measure["interval"] or (None, None)
    return {
        "name": measure["name"],
        "value": measure["value"],
        "low": low,
        "high": high,
        "chance": measure["chance"],
        "n": measure["n"],
        "better": measure["better"],
        "words": measure["protocol"],
        "undefined": measure["undefined"],
    }
