"""Concepts of real photos under a real network: they are about something, and leading a query along one shows it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from featurelens.adapt.concepts import Concepts, find_concepts
from featurelens.features import Features, extract

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def clothes(shared: Path) -> Features:
    """The first 50 photos of each of clothing10's classes, under MobileNetV2."""
    from featurelens.backbone import load_backbone

    pytest.importorskip("timm", reason="the network is timm's")
    root = shared / "data" / "clothing10"
    files = [f for one in sorted(p for p in root.iterdir() if p.is_dir()) for f in sorted(one.iterdir())[:50]]
    network = load_backbone(f"local-dir:{shared / 'weights' / 'mobilenetv2_100.tflite_in1k'}")
    found = extract(files, network, labels=[file.parent.name for file in files])
    assert isinstance(found, Features)
    return found


@pytest.fixture(scope="module")
def found(clothes: Features) -> Concepts:
    return find_concepts(clothes, count=48, active=4, steps=600)


def agreement(found: Concepts, label_of: dict[str, str]) -> float:
    shares = []
    for one in found.concepts:
        if len(one.exemplars) >= 3:
            counts = Counter(label_of[e.image] for e in one.exemplars)
            shares.append(counts.most_common(1)[0][1] / len(one.exemplars))
    return float(np.mean(shares))


def test_hardly_any_concept_is_dead_and_much_is_explained(found: Concepts) -> None:
    assert len(found.dead) <= 0.05 * len(found)
    assert found.explained > 0.25
    assert found.fired <= 4


def test_exemplars_agree_more_than_shuffled_ones(clothes: Features, found: Concepts) -> None:
    """No label took part in learning."""
    labels = list(clothes.labels or ())
    mixed = [
        agreement(
            found, dict(zip(clothes.ids, np.random.default_rng(s).permutation(labels).tolist(), strict=True))
        )
        for s in range(50)
    ]
    real = agreement(found, dict(zip(clothes.ids, labels, strict=True)))
    assert real > max(mixed) + 0.15, (real, max(mixed))


def test_leading_a_query_along_a_concept_moves_its_hits_there(clothes: Features, found: Concepts) -> None:
    labels = np.array(clothes.labels)
    about = {}
    for one in found.concepts:
        label, many = Counter(e.label for e in one.exemplars).most_common(1)[0] if one.exemplars else ("", 0)
        if many >= 7:
            about[one.number] = label
    assert len(about) >= 5
    activations = found.dictionary.encode(clothes.vectors)
    random = np.random.default_rng(0)

    def led(number: int, i: int, direction: np.ndarray, weight: float) -> tuple[float, float]:
        """(share of the concept's class, mean activation of the concept) in the top 10."""
        query = clothes.vectors[i] + weight * direction
        cosines = clothes.vectors @ (query / np.linalg.norm(query))
        cosines[i] = -2
        top = np.argsort(-cosines)[:10]
        return float((labels[top] == about[number]).mean()), float(activations[top, number].mean())

    rows = []
    for i in random.permutation(len(clothes))[:100].tolist():
        number = int(random.choice([n for n, label in about.items() if label != labels[i]]))
        direction = found.direction(number)
        noise = random.normal(size=direction.shape)
        noise *= np.linalg.norm(direction) / np.linalg.norm(noise)
        rows.append(
            [
                led(number, i, d, w)
                for d, w in ((direction, 0), (direction, 0.5), (direction, -0.5), (noise, 0.5))
            ]
        )
    (plain, fires), (more, fires_more), (less, fires_less), (anywhere, _) = np.mean(rows, axis=0)
    assert more > plain + 0.2, (plain, more)
    assert fires_more > 2 * fires >= 2 * fires_less
    assert less <= plain
    assert anywhere < plain + 0.05, "the sabotage: a random direction of the same length leads nowhere"
