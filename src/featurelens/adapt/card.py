"""The model card of a tuned backbone: what it is, how it was made, how good it is, what it is not for."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from featurelens.backbone.to_onnx import Parity

if TYPE_CHECKING:
    from featurelens.adapt.scores import Scores
    from featurelens.adapt.tuned import Tuned


def model_card(tuned: Tuned, parity: Parity) -> str:
    """Markdown, after Mitchell et al. 2019, "Model Cards for Model Reporting"."""
    spec, tuning = tuned.backbone.spec, tuned.tuning
    lines = [
        f"# {tuned.source.rpartition('/')[2]}, tuned to {len(tuned.classes)} classes",
        "",
        f"A backbone that gives {spec.dim} numbers for an image, and a classifier for: {', '.join(tuned.classes)}.",
        "",
        "```sh",
        "featurelens index PHOTOS --backbone bundle:bundle",
        f"featurelens explain PHOTO --backbone bundle:bundle --target {quote(tuned.classes[0])}",
        "```",
        "",
        "## How it was made",
        "",
        "| | |",
        "|---|---|",
        f"| made from | `{tuned.source}` (licence: {spec.licence}) |",
        f"| plan | {tuning.plan}, {len(tuned.history)} epochs, {tuning.optimizer} |",
        f"| batch | {tuning.batch_size} × {tuning.accumulate} images |",
        f"| learning rate | {tuning.rate:g} at the head, × {tuning.decay:g} for each {tuning.decay_by} below |",
        f"| learns | {_learning(tuned)} |",
        f"| images | {len(tuned.teach)} teach, {len(tuned.test)} test ({tuned.rule}) |",
        f"| left out | {len(tuned.skipped)} could not be read, {tuned.unlabelled} had no label |",
        f"| input | {spec.fit.rows} × {spec.fit.cols} pixels, {spec.fit.mode}, {spec.fit.interpolation} |",
        f"| weights | `{spec.weights[:16]}` |",
        f"| exported graph | agrees with torch: cosine {parity.cosine:.6f} |",
        "",
        "## How good it is",
        "",
        *_figures(tuned),
        "",
        "## What these figures do not tell",
        "",
        *_limits(tuned),
        "An image of none of the classes still gets one of them.",
    ]
    return "\n".join(lines) + "\n"


def _learning(tuned: Tuned) -> str:
    learns = sum(group.count for group in tuned.plan.groups if group.trainable)
    total = sum(group.count for group in tuned.plan.groups)
    return f"{learns:,} of {total:,} numbers ({learns / max(total, 1):.1%})"


def _limits(tuned: Tuned) -> list[str]:
    if tuned.scores is None:
        return []
    return [
        "They hold for images like those in the folder. Near-copies of one photo on both sides of the split make them too "
        "good: `featurelens assess` lists such pairs.",
        "The epoch was chosen by its accuracy on the same test images, which flatters it."
        if tuned.tuning.patience
        else "The test images took no part in any choice.",
        *([f"Nothing is known of {', '.join(tuned.untested)}: no test image."] if tuned.untested else []),
    ]


def _figures(tuned: Tuned) -> list[str]:
    if tuned.scores is None:
        return ["No images were kept for testing, so nothing is known."]
    lines = ["| | accuracy | 95 % interval | mean recall | n |", "|---|---|---|---|---|"]
    lines.append(_row("tuned", tuned.scores))
    if tuned.head is not None and tuned.tuning.plan != "frozen":
        lines.append(_row("head on frozen features", tuned.head))
    lines += [
        f"| always the largest class | {tuned.scores.chance:.3f} | | | |",
        "",
        "| class | recall | n |",
        "|---|---|---|",
    ]
    for i, name in enumerate(tuned.classes):
        count = int(tuned.scores.confusion[i].sum())
        lines.append(
            f"| {name} | {tuned.scores.confusion[i, i] / count:.2f} | {count} |"
            if count
            else f"| {name} | – | 0 |"
        )
    return lines


def _row(name: str, scores: Scores) -> str:
    low, high = scores.interval
    return f"| {name} | {scores.accuracy:.3f} | {low:.3f} to {high:.3f} | {scores.mean_recall:.3f} | {scores.n} |"
