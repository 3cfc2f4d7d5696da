"""What each number means in one plain sentence, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from featurelens.assess.result import Measure

SHOWN = {
    "linear probe accuracy": "linear probe",
    "kNN accuracy, k = 10": "kNN (10)",
    "mAP": "mAP",
    "silhouette (cosine)": "silhouette",
    "RankMe": "RankMe",
}
"""The measures of the first table, and their short headings."""


@dataclass(frozen=True)
class Words:
    """The group a measure stands in, its meaning, and the advice for a value."""

    group: str
    meaning: str
    advice: Callable[[Measure], str]


def _lift(measure: Measure, good: str, fair: str, poor: str) -> str:
    """Advice by where the value lies between chance and 1."""
    if measure.chance is None:
        return ""
    low = measure.interval[0] if measure.interval else measure.value
    if low <= measure.chance:
        return "Not distinguishable from chance: take another backbone, or check the labels."
    height = (measure.value - measure.chance) / max(1 - measure.chance, 1e-9)
    return good if height >= 0.75 else fair if height >= 0.4 else poor


def _probe(m: Measure) -> str:
    if m.name not in ("linear probe accuracy", "kNN accuracy, k = 10"):
        return ""
    return _lift(
        m,
        "Good enough to use as it is; look at the confusions for the rest.",
        "Usable; fine-tuning or a stronger backbone should gain most on the confused classes.",
        "Weak: try another backbone or layer before collecting more labels.",
    )


def _search(m: Measure) -> str:
    return _lift(
        m,
        "Even far down the list results are mostly of the right class.",
        "Results get mixed further down the list; re-rank or fine-tune if you need all of a class.",
        "Far down the list most results are of other classes: these features do not find all of a class.",
    )


def _first_results(m: Measure) -> str:
    if m.name != "precision@10":
        return ""
    return _lift(
        m,
        "The first page of a search will look right.",
        "The first page of a search will hold some wrong results.",
        "The first page of a search will be mostly wrong: fine-tune, or take another backbone.",
    )


def _few(m: Measure) -> str:
    if m.name != "16-shot accuracy":
        return ""
    return _lift(
        m,
        "A few labels per class are enough to start.",
        "Label a few more per class; see where the curve flattens.",
        "Too little for these features: label more, or take another backbone.",
    )


def _silhouette(m: Measure) -> str:
    if "cosine" not in m.name:
        return ""
    if m.value > 0.25:
        return "Classes form tight groups: clustering and thresholds on similarity will work."
    if m.value > 0.05:
        return "Classes overlap at their edges: use a trained classifier rather than a threshold."
    return "Classes are no groups of their own here; a probe may still separate them, a threshold will not."


def _ratio(m: Measure) -> str:
    if m.value < 0.7:
        return "Images of a class are clearly closer: a similarity threshold can be set."
    return "Within and between classes are nearly as far: choose thresholds per class, or fine-tune."


def _rank(m: Measure) -> str:
    if m.detail.get("collapsed"):
        return (
            "Collapsed: all images have the same features up to rounding. Check the network and its weights."
        )
    share = float(m.detail.get("share", 0))
    if share < 0.1:
        return "Few directions are in use: features can be compressed strongly, or have partly collapsed."
    return "No sign of collapse. Compare only with backbones on the same images."


def _alpha(m: Measure) -> str:
    if m.value > 1.3:
        return "Most information sits in few directions: whitening or PCA may help search."
    if m.value < 0.6:
        return "The spectrum is close to that of noise; expect weak generalisation."
    return "In the range where features tend to generalise best."


def _hub(m: Measure) -> str:
    if m.value > 2:
        return "Some images turn up in far too many searches: look at the hubs, or use mutual neighbours."
    return "No image dominates the searches."


def _fixed(text: str) -> Callable[[Measure], str]:
    return lambda measure: text


CLASSES, SEARCH, FEW, SHAPE = "Telling classes apart", "Searching", "With few labels", "Without labels"
_WORDS: tuple[tuple[str, Words], ...] = (
    (
        r"linear probe accuracy",
        Words(CLASSES, "The share of unseen images that a simple trained classifier gets right.", _probe),
    ),
    (
        r"kNN accuracy, k = .*",
        Words(CLASSES, "The share of images whose nearest neighbours vote for the right class.", _probe),
    ),
    (
        r"silhouette \(.*\)",
        Words(CLASSES, "Whether images lie closer to their own class (1) or to another (-1).", _silhouette),
    ),
    (
        r"intra / inter distance",
        Words(
            CLASSES, "How far apart images of one class are, compared with images of different ones.", _ratio
        ),
    ),
    (
        r"alignment",
        Words(CLASSES, "How far two images of one class lie from each other (0 to 4).", _fixed("")),
    ),
    (r"mAP", Words(SEARCH, "How well all images of the same class come before all others.", _search)),
    (r"mAP@R", Words(SEARCH, "The same, counting only the first R results for a class of R.", _fixed(""))),
    (
        r"R-precision",
        Words(SEARCH, "The share of right results among the first R for a class of R.", _fixed("")),
    ),
    (
        r"precision@.*",
        Words(SEARCH, "The share of right results among the first ones shown.", _first_results),
    ),
    (
        r".*-shot accuracy",
        Words(FEW, "The accuracy of a classifier that sees this many images per class.", _few),
    ),
    (
        r"LogME",
        Words(
            FEW,
            "How likely the labels are under a linear model on these features.",
            _fixed("Only a hint for ranking backbones; trust the probes."),
        ),
    ),
    (r"RankMe", Words(SHAPE, "How many directions the features really use.", _rank)),
    (r"alpha-ReQ", Words(SHAPE, "How fast the importance of directions falls; about 1 is best.", _alpha)),
    (
        r"uniformity",
        Words(SHAPE, "How evenly features spread over the sphere; lower is more even.", _fixed("")),
    ),
    (
        r"intrinsic dimension",
        Words(
            SHAPE,
            "How many numbers would do to describe where an image lies among the others.",
            lambda m: f"A projection to {max(8, round(4 * m.value))} dimensions should lose little; test it.",
        ),
    ),
    (r"hubness", Words(SHAPE, "Whether a few images turn up in too many searches.", _hub)),
    (
        r"clusters",
        Words(
            SHAPE,
            "How many tight groups the images form by themselves.",
            lambda m: f"{m.detail.get('outside', 0):.0%} of the images lie in no group.",
        ),
    ),
    (
        r"drift",
        Words("Stability", "How far a harmed image moves; 1 is as far as a different image.", _fixed("")),
    ),
    (
        r"neighbour overlap@.*",
        Words("Stability", "The share of search results that stay the same after the harm.", _fixed("")),
    ),
    (r"accuracy drop", Words("Stability", "How much accuracy is lost on harmed images.", _fixed(""))),
    (
        r"background accuracy",
        Words(
            "Label problems",
            "How often the outer frame's colours alone give the class away.",
            lambda m: (
                "Some classes are recognised by their background: vary it, crop, or test on new places."
                if m.detail.get("warning")
                else "The frame tells little about the class."
            ),
        ),
    ),
)
GROUPS = (CLASSES, SEARCH, FEW, SHAPE)


def words(measure: Measure) -> Words:
    """The words for a measure, by its name."""
    for pattern, found in _WORDS:
        if re.fullmatch(pattern, measure.name):
            return found
    return Words(SHAPE, "", _fixed(""))


def short(name: str) -> str:
    """A backbone's name without scheme paths and weight files, for charts and sentences."""
    plain = name.partition("=")[0]
    scheme, colon, rest = plain.partition(":")
    if colon and ("/" in rest or "\\" in rest):
        return re.split(r"[/\\]", rest.rstrip("/\\"))[-1]
    return rest if colon and scheme in ("torchvision", "timm") else plain
