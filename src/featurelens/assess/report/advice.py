"""What follows from the numbers, in sentences: which backbone to take, what limits that, what harms most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from featurelens.assess.collapse import same_directions
from featurelens.assess.report.words import short
from featurelens.assess.result import Measure
from featurelens.assess.stability import harms
from featurelens.assess.steadiness import Steadiness
from featurelens.assess.study import Study
from featurelens.assess.sweep import Choice
from featurelens.wording import count

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
    ties = [study[t.b] for t in study.tests if not t.significant]
    if ties:
        names = " and ".join(short(a.name) for a in ties)
        first = f"{first} The lead over {names} is not more than chance."
        faster = max(ties, key=lambda a: a.cost.images_per_second or 0)
        speeds = (best.cost.images_per_second or 0.0, faster.cost.images_per_second or 0.0)
        if not speeds[0] or speeds[1] < 1.2 * speeds[0]:
            return f"{first} Nothing else speaks for these: none is faster." if all(speeds) else first
        return (
            f"{first} Where speed counts take {short(faster.name)}, which is {speeds[1] / speeds[0]:.1f} times as "
            f"fast ({speeds[1]:.0f} images a second against {speeds[0]:.0f})."
        )
    if study.tests:
        return f"{first} It is significantly better than every other one here."
    return first


def cautions(study: Study) -> list[str]:
    """What limits the answer, in plain sentences."""
    features = study.assessments[0].features
    labels = [label for label in features.labels or () if label]
    found = [
        f"The features of {short(a.name)} have collapsed: all images have the same up to rounding, so that what is "
        "measured of them is noise. Check the network and its weights, and whether all files are one picture."
        for a in study.assessments
        if same_directions(a.features.vectors)
    ]
    if labels:
        sizes = {label: labels.count(label) for label in set(labels)}
        smallest = min(sizes, key=lambda label: (sizes[label], label))
        if sizes[smallest] < 20:
            found.append(
                f"The class '{smallest}' has only {count(sizes[smallest], 'image')}: numbers for it are rough, "
                "and the intervals are wide for a reason."
            )
        if max(sizes.values()) > 5 * min(sizes.values()):
            found.append("Classes differ much in size: accuracy is dominated by the large ones.")
    if len(features) < 200:
        found.append(f"{len(features)} images are few: look at the intervals before the values.")
    if any(a.name.startswith("random:") for a in study.assessments):
        found.append("A network with random weights takes part as a floor; it is not a choice.")
    return found


def strongest(harm: Steadiness) -> list[tuple[str, float, Mapping[str, Measure]]]:
    """Each kind of harm at its strongest level, the one that moves features most first."""
    found: dict[str, tuple[float, Mapping[str, Measure]]] = {}
    for (kind, level), measures in harm.items():
        if measures["drift"].defined and (kind not in found or level >= found[kind][0]):
            found[kind] = (level, measures)
    return sorted(((kind, *rest) for kind, rest in found.items()), key=lambda row: -row[2]["drift"].value)


def extremes(harm: Steadiness) -> tuple[str, str] | None:
    """The kinds of harm, in words, that move the features least and most at their strongest level."""
    kinds = [kind for kind, _, _ in strongest(harm)]
    if len(kinds) < 2:
        return None
    return _IN_PICTURES.get(kinds[-1], kinds[-1]), _IN_PICTURES.get(kinds[0], kinds[0])


def steady_rows(
    study: Study, steady: Mapping[str, Steadiness]
) -> list[tuple[str, Mapping[str, Measure], str]]:
    """Each backbone with its measures over all kinds of harm and the kind that moves it most, steadiest first."""
    rows = []
    for a in study.assessments:
        drifts = [
            (measures["drift"].value, kind)
            for (kind, level), measures in steady.get(a.name, {}).items()
            if (kind, level) in harms(middle=True) and measures["drift"].defined
        ]
        if drifts:
            worst = max(drifts)[1]
            rows.append((a.name, a.measures, _IN_PICTURES.get(worst, worst)))
    return sorted(rows, key=lambda row: row[1]["drift"].value)


def steady_words(rows: Sequence[tuple[str, Mapping[str, Measure], str]]) -> str:
    """Who is steadiest, who moves most, and what that is worth."""
    if len(rows) < 2:
        return ""
    first, last = rows[0], rows[-1]
    return (
        f"{short(first[0])} moves least (drift {first[1]['drift'].value:.2f}), {short(last[0])} most "
        f"({last[1]['drift'].value:.2f}). Steady alone is not good: features that see little also move little, so "
        "weigh this against the accuracy above."
    )


def drift_rows(
    rows: Sequence[tuple[str, Mapping[str, Measure], str]], steady: Mapping[str, Steadiness]
) -> list[tuple[str, list[Measure | None]]]:
    """The drift of each backbone under each kind of harm at its middle level, the backbones as in `rows`."""
    return [
        (f"{kind} {level:g}", [steady[name].get((kind, level), {}).get("drift") for name, _, _ in rows])
        for kind, level in harms(middle=True)
    ]


def sweep_words(choices: Sequence[Choice]) -> str:
    """Whether another layer or pooling is worth taking instead of the embedding."""
    if not choices:
        return ""
    best = choices[0]
    name = f"{best.layer}, {best.pooling}" if best.pooling else best.layer
    if not best.pooling:
        return "None of these beats the backbone's own embedding: keep it."
    if best.against is None:
        return f"Best on these images: {name}."
    if best.against.significant:
        return f"Take {name}: on these images it is better than the backbone's own embedding."
    return f"{name} comes first, but not by more than chance: keep the backbone's own embedding."
