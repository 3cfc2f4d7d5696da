"""Whether fusing helps is judged on other images than the fusion was fitted on."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from featurelens.assess.fusion_gain import MAP, PROBE, _precisions, fusion_gain
from featurelens.errors import InvalidInput


def side_by_side(sources, labels):
    return np.hstack


@pytest.fixture(scope="module")
def halves() -> tuple[dict[str, np.ndarray], list[str]]:
    """Four classes; each source tells one bit of them, so that only both together tell all."""
    random = np.random.default_rng(0)
    codes = np.arange(160) % 4
    bits = [np.eye(2)[codes % 2], np.eye(2)[codes // 2]]
    sources = {name: b + 0.3 * random.normal(size=(160, 2)) for name, b in zip("ab", bits, strict=True)}
    return sources, [f"class {c}" for c in codes]


def test_two_halves_of_the_truth_help(halves) -> None:
    sources, labels = halves
    found = fusion_gain(sources, labels, {"both": side_by_side})
    assert {g.measure for g in found.gains} == {PROBE, MAP}
    assert all(g.significant and g.difference > 0.1 and g.interval[0] > 0 for g in found.gains)
    assert "helps" in str(found)
    assert found.measures["a"][PROBE].value < 0.6


def test_noise_does_not_help(halves) -> None:
    sources, labels = halves
    random = np.random.default_rng(1)
    whole = np.hstack(list(sources.values()))
    found = fusion_gain(
        {"whole": whole, "noise": random.normal(size=(160, 4))}, labels, {"both": side_by_side}
    )
    assert found.best == {PROBE: "whole", MAP: "whole"}
    assert not any(g.significant and g.difference > 0 for g in found.gains)


def test_a_fusion_that_learns_its_labels_by_heart_gains_nothing(halves) -> None:
    """The sabotage that cross-fitting is there for: a table of the images it was fitted on."""
    labels = halves[1]
    noise = np.random.default_rng(2).normal(size=(160, 4))

    def by_heart(given, taught):
        table = {row.tobytes(): label for row, label in zip(given[0], taught, strict=True)}
        names = sorted(set(taught))

        def join(rows):
            codes = [names.index(table[row.tobytes()]) if row.tobytes() in table else -1 for row in rows[0]]
            return np.hstack([np.eye(5)[codes], 1e-3 * rows[0]])

        return join

    given = {"a": noise, "b": noise[:, ::-1].copy()}
    found = fusion_gain(given, labels, {"by heart": by_heart})
    assert found.measures["by heart"][PROBE].value < 0.45
    whole = by_heart([noise], labels)([noise])  # judged on the images it was fitted on it would be perfect
    assert (whole[:, :4].argmax(1) == np.arange(160) % 4).all()


def test_average_precision_equals_scikit_learn() -> None:
    random = np.random.default_rng(0)
    similarity, query, item = random.normal(size=(9, 40)), np.arange(9) % 3, random.integers(0, 4, 40)
    found = _precisions(similarity, query, item)
    expected = [average_precision_score(item == q, s) for q, s in zip(query, similarity, strict=True)]
    assert np.abs(found - expected).max() < 1e-12
    assert np.isnan(_precisions(similarity[:1], np.array([9]), item)).all()


def test_one_source_or_one_class_is_refused(halves) -> None:
    sources, labels = halves
    with pytest.raises(InvalidInput, match="two or more"):
        fusion_gain({"a": sources["a"]}, labels, {})
    with pytest.raises(InvalidInput, match="1 classes"):
        fusion_gain(sources, ["x"] * 160, {})
