"""Whether fusing helps is judged on other images than the fusion was fitted on."""

from __future__ import annotations

import numpy as np
import pytest

from featurelens.assess.fusion_gain import MAP, PROBE, fusion_gain
from featurelens.assess.interval import mean_interval
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


def test_images_that_ask_and_are_found_widen_the_interval_of_map() -> None:
    """Of sources drawn alike, a bootstrap over the askers alone calls every fifth pair different in mAP."""
    random = np.random.default_rng(1)
    codes = np.repeat(np.arange(4), 30)
    centres = 0.5 * random.normal(size=(4, 16))
    given = {name: centres[codes] + random.normal(size=(120, 16)) for name in "ab"}
    found = fusion_gain(given, [f"class {c}" for c in codes], {"second": lambda s, t: lambda rows: rows[1]})
    one = found.measures["a"][MAP]
    low, high = mean_interval(one.per_item)
    assert one.detail["spread"] > 1.2
    assert one.interval[1] - one.interval[0] == pytest.approx(one.detail["spread"] * (high - low))


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
    assert found.measures["by heart"][MAP].value < 0.45
    whole = by_heart([noise], labels)([noise])  # judged on the images it was fitted on it would be perfect
    assert (whole[:, :4].argmax(1) == np.arange(160) % 4).all()


def test_a_fusion_that_moves_its_teaching_images_gains_no_precision(halves) -> None:
    """It drives the images it was fitted on apart by class; test images that look among these would find them."""
    labels = halves[1]
    noise = np.random.default_rng(3).normal(size=(160, 40))
    taught: dict[bytes, int] = {}

    def fit(given, told):
        taught.clear()
        taught.update(
            (row.tobytes(), sorted(set(labels)).index(label))
            for row, label in zip(given[0], told, strict=True)
        )
        centres = np.stack([given[0][[t == name for t in told]].mean(0) for name in sorted(set(told))])

        def join(rows):
            codes = [taught.get(row.tobytes(), int((centres @ row).argmax())) for row in rows[0]]
            return np.eye(4)[codes] + 1e-3 * rows[0][:, :4]

        return join

    found = fusion_gain({"a": noise, "b": noise.copy()}, labels, {"apart": fit})
    assert not any(g.significant and g.difference > 0.1 for g in found.gains)


def test_one_source_or_one_class_is_refused(halves) -> None:
    sources, labels = halves
    with pytest.raises(InvalidInput, match="two or more"):
        fusion_gain({"a": sources["a"]}, labels, {})
    with pytest.raises(InvalidInput, match="1 classes"):
        fusion_gain(sources, ["x"] * 160, {})


def test_sources_of_different_length_are_refused(halves) -> None:
    sources, labels = halves
    for rows in (sources["b"][:150], np.vstack([sources["b"]] * 2)):
        with pytest.raises(InvalidInput, match=f"a 160, b {len(rows)}"):
            fusion_gain({"a": sources["a"], "b": rows}, labels, {"both": side_by_side})


def test_where_no_fold_tests_two_of_a_class_there_is_no_precision(halves, recwarn) -> None:
    few = {name: rows[:20] for name, rows in halves[0].items()}
    found = fusion_gain(few, halves[1][:20], {"both": side_by_side})
    assert "two images of one class" in str(found.measures["both"][MAP].undefined)
    assert {g.measure for g in found.gains} == set(found.best) == {PROBE}
    assert not recwarn.list
