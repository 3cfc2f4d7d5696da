"""The model card of an adapted backbone: how it came about, what changed, what to mind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featurelens.adapt.domain.criteria import CRITERIA
from featurelens.adapt.scores import Scores

if TYPE_CHECKING:
    from featurelens.adapt.domain.outcome import Adapted

HOW = {
    "none": "nothing was changed",
    "coral": "target embeddings are whitened and coloured like the source's (Sun et al. 2016)",
    "adabn": "batch norm has the target's statistics (Li et al. 2017)",
    "source": "only the source's classes were learnt on",
    "deep-coral": "covariances of both domains were pulled together (Sun & Saenko 2016)",
    "mmd": "kernel means of both domains were pulled together (DAN, Long et al. 2015)",
    "dann": "features were taught to hide their domain from a critic (Ganin et al. 2016)",
    "mcc": "confusion between classes on the target was made small (Jin et al. 2020)",
    "pseudo": "the network's own sure labels of target images were learnt on (Lee 2013, Zou et al. 2018)",
}


def card(adapted: Adapted, name: str) -> str:
    """Markdown, after Mitchell et al. 2019, "Model Cards for Model Reporting"."""
    spec, adapting = adapted.backbone.spec, adapted.adapting
    short = adapted.origin.rpartition("/")[2]
    lines = [
        f"# {short}, adapted to another kind of image",
        "",
        f"A backbone that gives {spec.dim} numbers for an image. It knows the classes {', '.join(adapted.classes)} from "
        "labelled images of one domain, and was adapted without labels to images of another.",
        "",
        "```sh",
        f"featurelens index PHOTOS --backbone {name}",
        "```",
        "",
        *[f"**{text}**\n" for text in adapted.warnings],
        "## How it was made",
        "",
        "| | |",
        "|---|---|",
        f"| made from | `{adapted.origin}` (licence: {spec.licence}) |",
        f"| method | {adapted.method}: {HOW[adapted.method]} |",
        f"| chosen by | {adapting.criterion}, from {len(adapted.tried)} candidates (tried.csv); no target label took part |",
        f"| epoch | {adapted.epoch or 'nothing was learnt'} |",
        f"| depth | {adapting.depth} |",
        f"| images | {len(adapted.source_ids)} of the source ({adapted.rule}), {len(adapted.target_ids)} of the target |",
        f"| weights | `{spec.weights[:16]}` |",
        "",
        "## Before and after",
        "",
        *_scores(adapted),
        "",
        "| without labels (higher is better) | before | after |",
        "|---|---|---|",
        *[
            f"| {one} | {_number(adapted.unadapted.figures.criteria[one])} | {_number(adapted.chosen.figures.criteria[one])} |"
            for one in CRITERIA
        ],
        "",
        "## What these figures do not tell",
        "",
        "The target images that were adapted to are the ones that were measured: for others of the same kind expect a "
        "little less. The criteria are guesses, which can be wrong about which network is better. "
        + (
            "Embed target images only with this backbone, and source images with the one that it was made from; both "
            "then lie in one space."
            if adapted.for_target_only
            else "Images of both domains go through this backbone."
        ),
    ]
    return "\n".join(lines) + "\n"


def _scores(adapted: Adapted) -> list[str]:
    if adapted.before is None or adapted.after is None or adapted.change is None:
        return ["The target has no labels, so its accuracy is unknown."]
    low, high = adapted.change.interval
    return [
        "| target | accuracy | 95 % interval | mean recall | n |",
        "|---|---|---|---|---|",
        _row("before", adapted.before),
        _row("after", adapted.after),
        "",
        f"Difference {adapted.change.difference:+.3f} ({low:+.3f} to {high:+.3f}), paired on the same images: "
        f"{adapted.change.gained} gained, {adapted.change.lost} lost.",
    ]


def _row(name: str, scores: Scores) -> str:
    low, high = scores.interval
    return f"| {name} | {scores.accuracy:.3f} | {low:.3f} to {high:.3f} | {scores.mean_recall:.3f} | {scores.n} |"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
