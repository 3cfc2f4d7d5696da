"""Several backbones: ranking, significance, the Pareto front, findings, before and after."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import permutation_test

from featurelens.assess.background import background_predicts
from featurelens.assess.compare import compare, read_report, told
from featurelens.assess.findings import findings
from featurelens.assess.pareto import pareto
from featurelens.assess.result import Measure
from featurelens.assess.significance import Paired, against_best, holm, paired
from featurelens.assess.study import Cost, common, confused, measure, splits_of, study
from featurelens.backbone.protocol import Spec
from featurelens.errors import InvalidInput
from featurelens.features.table import Features


def drawn(noise, *, name="net", n=90, d=16, seed=0, labelled=True, folders=False):
    random = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    centres = np.random.default_rng(7).standard_normal((3, d))
    raw = centres[labels] + noise * random.standard_normal((n, d))
    side = ["train/" if i % 4 else "test/" for i in range(n)]
    ids = [f"{side[i] if folders else ''}{'abc'[labels[i]]}/{i:03}.jpg" for i in range(n)]
    names = ["abc"[label] for label in labels] if labelled else None
    return Features.from_raw(ids, raw.astype(np.float32), Spec(name, name, d), labels=names)


def test_the_study_ranks_names_the_best_and_says_how_sure_it_is():
    sets = {"poor": drawn(6.0, seed=1), "good": drawn(1.0, seed=2), "fair": drawn(2.5, seed=3)}
    result = study(
        sets, costs={"poor": Cost(900.0, 10**8), "good": Cost(100.0, 10**9), "fair": Cost(90.0, 10**9)}
    )
    assert [a.name for a in result.assessments] == ["good", "fair", "poor"]
    assert result.quality == "linear probe accuracy"
    assert result.tests[-1].b == "poor"
    assert result.tests[-1].significant
    assert set(result.front) == {"good", "poor"}
    cka, neighbours = result.agreement["good", "fair"]
    assert 0 < cka.value < 1
    assert 0 < neighbours.value < 1


def test_every_measure_states_its_protocol_and_chance_or_why_not():
    result = measure(drawn(1.5))
    for name, one in result.measures.items():
        assert name == one.name
        assert one.protocol
        assert one.defined != bool(one.undefined)
        if one.defined and one.better == "higher" and one.chance is not None:
            assert one.value > one.chance
    assert result.measures["kNN accuracy, k = 200"].undefined


def test_without_labels_only_measures_that_need_none_are_there():
    result = study({"a": drawn(1.0, labelled=False)})
    assert result.quality is None
    assert result.tests == ()
    assert "RankMe" in result["a"].measures
    assert "mAP" not in result["a"].measures
    assert findings(result["a"]).suspects == ()


def test_only_images_that_all_backbones_read_take_part():
    whole, part = drawn(1.0), drawn(2.0).select(list(range(80, -1, -1)))
    sets = common({"a": whole, "b": part})
    assert sets["a"].ids == sets["b"].ids
    assert len(sets["a"]) == 81
    with pytest.raises(InvalidInput, match="No image"):
        common({"a": whole.select([0]), "b": whole.select([1])})


def test_splits_by_word():
    features = drawn(1.0, folders=True)
    assert splits_of(features, "folds", 0) is None
    assert len(splits_of(features, "folder", 0)[0].test) == 23
    assert len(splits_of(features, "0.2", 0)[0].test) == 18
    with pytest.raises(InvalidInput, match="folds, folder"):
        splits_of(features, "half", 0)


def test_nobody_is_taught_on_the_test_folder():
    """There the classes have changed places: what train teaches is wrong of every test image."""
    features = drawn(0.1, folders=True)
    vectors, places = features.vectors.copy(), np.arange(90)
    test = places % 4 == 0
    vectors[test] = vectors[(places[test] + 1) % 90]  # the next image, of the next class
    turned = Features(features.ids, vectors, features.spec, features.labels)
    found = measure(turned, splits=splits_of(turned, "folder", 0)).measures["16-shot accuracy"]
    assert (found.value, found.n) == (0, 23)
    assert "of the split" in found.protocol
    assert measure(turned).measures["16-shot accuracy"].value > 0.5
    frames = np.hstack([vectors, vectors])
    background = background_predicts(frames, turned.labels, splits=splits_of(turned, "folder", 0))
    assert (background.value, background.n) == (0, 23)


def test_the_sign_flip_test_agrees_with_scipy():
    random = np.random.default_rng(0)
    a, b = random.random(80), random.random(80) - 0.08
    theirs = permutation_test(
        (a, b), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=9999, rng=1
    )
    ours = paired(Measure("m", 0.0, 80, "", per_item=a), Measure("m", 0.0, 80, "", per_item=b))
    assert ours.p == pytest.approx(theirs.pvalue, abs=0.01)
    assert ours.interval[0] < (a - b).mean() < ours.interval[1]
    with pytest.raises(InvalidInput, match="row values"):
        paired(Measure("m", 0.0, 1, ""), Measure("m", 0.0, 1, ""))


def test_holm_multiplies_the_smallest_most_and_keeps_the_order():
    tests = [Paired("a", str(i), "m", 0.0, (0.0, 0.0), p, 9) for i, p in enumerate((0.04, 0.01, 0.03))]
    assert [t.p for t in holm(tests)] == pytest.approx([0.06, 0.03, 0.06])


def test_the_best_of_several_is_tested_as_any_pair_could_have_been():
    """Of five equally good ones the best against the worst is chosen for its gap; four tests are not all there is."""
    random = np.random.default_rng(0)
    several = {
        str(i): Measure("m", 0.0, 60, "", per_item=row) for i, row in enumerate(random.random((5, 60)))
    }
    several = {name: replace(m, value=float(m.per_item.mean())) for name, m in several.items()}
    best = max(several, key=lambda name: several[name].value)
    found = against_best(several)
    assert [(t.a, t.b) for t in found] == [(best, name) for name in several if name != best]
    raw = {t.b: paired(several[best], several[t.b]).p for t in found}
    least = min(found, key=lambda t: raw[t.b])
    assert least.p == pytest.approx(min(1.0, 10 * raw[least.b]))
    assert against_best({"alone": several["0"]}) == []


def test_the_front_leaves_out_what_is_beaten_in_everything():
    points = {"a": (0.9, 10.0), "b": (0.8, 20.0), "c": (0.7, 15.0), "d": (0.9, None)}
    assert pareto(points) == ["a", "b", "d"]


def test_findings_name_leaks_and_examples():
    features = drawn(1.2, folders=True)
    vectors = features.vectors.copy()
    vectors[1] = vectors[4]
    vectors[0] = vectors[3]
    planted = Features(features.ids, vectors, features.spec, features.labels)
    found = findings(measure(planted))
    assert sorted((p.a, p.b) for p in found.pairs) == [(0, 3), (1, 4)]
    assert sorted((p.a, p.b) for p in found.leaks) == [(0, 3), (1, 4)]  # 0 and 4 lie under test
    assert found.best[0].average_precision > found.worst[0].average_precision
    assert found.worst[0].row not in found.worst[0].found


def test_the_commonest_mistakes_are_counted():
    mistakes = confused(measure(drawn(4.0)))
    assert mistakes
    assert mistakes == sorted(mistakes, key=lambda m: -m[2])
    assert all(a != b and 0 < wrong <= total for a, b, wrong, total in mistakes)


def as_report(*entries):
    return {
        "format": "featurelens-assess/1",
        "backbones": [
            {"name": name, "measures": {m.name: m.to_json() for m in measures}} for name, measures in entries
        ],
    }


def test_before_and_after_says_what_is_more_than_noise():
    before = as_report(
        ("net", [Measure("mAP", 0.4, 9, "", (0.38, 0.42)), Measure("x", 1.0, 9, "", (0.0, 2.0))])
    )
    after = as_report(
        ("net+", [Measure("mAP", 0.5, 9, "", (0.48, 0.52)), Measure("x", 1.5, 9, "", (0.5, 2.5))])
    )
    found = {change.measure: change for change in compare(before, after)}
    assert found["mAP"].verdict == "better"
    assert found["mAP"].interval == pytest.approx((0.1 - 0.02 * 2**0.5, 0.1 + 0.02 * 2**0.5))
    assert found["x"].verdict == "within noise"
    assert "→" in found["mAP"].backbone
    (line,) = told(list(found.values()), "mAP")
    assert line == "net → net+: mAP 0.400 → 0.500 is better; of 2 measures 1 better, 1 within noise."
    assert compare(after, before)[0].verdict == "worse"
    low = Measure("drift", 0.2, 9, "", (0.19, 0.21), better="lower")
    high = Measure("drift", 0.4, 9, "", (0.39, 0.41), better="lower")
    assert compare(as_report(("a", [high])), as_report(("a", [low])))[0].verdict == "better"


def test_on_the_same_images_the_difference_is_tested_in_pairs():
    """A steady gain of .02 drowns in two independent intervals, and is plain in pairs."""
    random = np.random.default_rng(0)
    values = random.random(200)
    reports = []
    for gain in (0.0, 0.02):
        rows = values + gain + 0.01 * random.standard_normal(200)
        one = Measure("mAP", float(rows.mean()), 200, "", (rows.mean() - 0.04, rows.mean() + 0.04))
        report = as_report(("net", [one])) | {"data": "x"}
        report["backbones"][0]["per_image"] = {"mAP": [*rows.tolist()[:-1], None]}
        reports.append(report)
    (change,) = compare(*reports)
    assert change.verdict == "better"
    assert change.p < 0.001
    assert change.interval[0] < 0.02 < change.interval[1]
    (alone,) = compare(reports[0], reports[1] | {"data": "y"})
    assert (alone.verdict, alone.p) == ("within noise", None)


def test_what_is_no_report_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match=r"report\.json"):
        read_report(tmp_path)
    (tmp_path / "report.json").write_text("{}")
    with pytest.raises(InvalidInput, match="format"):
        read_report(tmp_path / "report.html")
    two = as_report(("a", []), ("b", []))
    with pytest.raises(InvalidInput, match="both reports"):
        compare(two, as_report(("c", [])))
