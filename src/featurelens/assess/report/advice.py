"""What follows from the numbers, in sentences: which backbone to take, what limits that, what harms most."""

from __future__ import annotations

from collections.abc import Mapping

from featurelens.assess.choose import Harm
from featurelens.assess.report.words import short
from featurelens.assess.result import Measure
from featurelens.assess.study import Study

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


def strongest(harm: Harm) -> list[tuple[str, float, Mapping[str, Measure]]]:
    """Each kind of harm at its strongest level, the one that moves features most first."""
    found: dict[str, tuple[float, Mapping[str, Measure]]] = {}
    for (kind, level), measures in harm.items():
        if measures["drift"].defined and (kind not in found or level >= found[kind][0]):
            found[kind] = (level, measures)
    return sorted(((kind, *rest) for kind, rest in found.items()), key=lambda row: -row[2]["drift"].value)


def extremes(harm: Harm) -> tuple[str, str] | None:
    """The kinds of harm, in words, that move the features least and most at their strongest level."""
    kinds = [kind for kind, _, _ in strongest(harm)]
    if len(kinds) < 2:
        return None
    return _IN_PICTURES.get(kinds[-1], kinds[-1]), _IN_PICTURES.get(kinds[0], kinds[0])
