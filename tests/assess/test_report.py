"""The report: one page that needs nothing else, holds every number, and survives hostile names."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from featurelens.assess.background import background_predicts
from featurelens.assess.choose import Choosing, _skipped, choose, frames
from featurelens.assess.compare import compare, read_report
from featurelens.assess.extraction import job_of
from featurelens.assess.findings import findings
from featurelens.assess.report import render, report_data, write_report
from featurelens.assess.report.advice import cautions
from featurelens.assess.report.format import number, rate, span
from featurelens.assess.report.maps import embedding_map
from featurelens.assess.report.svg import ticks
from featurelens.assess.report.words import short
from featurelens.assess.stability import harms, stability
from featurelens.assess.steadiness import overall
from featurelens.assess.study import Cost, study, with_measures
from featurelens.assess.sweep import Choice
from featurelens.backbone.protocol import Spec
from featurelens.errors import BackboneError, InvalidInput, UnknownName
from featurelens.features.table import Features
from featurelens.wording import count

EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Three classes of small photos: a tinted frame around noise, and one hostile folder name."""
    root = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for number_, label in enumerate(("leaf", "stone", "a & b")):
        (root / label).mkdir()
        for i in range(12):
            pixels = random.integers(0, 90, (48, 64, 3))
            pixels[..., number_] += 120
            Image.fromarray(pixels.astype(np.uint8)).save(root / label / f"{i:02}.png")
    return root


def made(root: Path, *, labelled: bool = True) -> Choosing:
    names = sorted(str(p.relative_to(root)) for p in root.rglob("*.png"))
    random = np.random.default_rng(1)
    classes = np.array([["leaf", "stone", "a & b"].index(n.split("/")[0]) for n in names])
    labels = [n.split("/")[0] for n in names] if labelled else None

    def features(name: str, noise: float) -> Features:
        raw = np.eye(3, 12)[classes] + noise * random.standard_normal((len(names), 12))
        return Features.from_raw(
            names, raw.astype(np.float32), Spec(name, name, 12, licence=EVIL), labels=labels
        )

    sets = {"good": features("good", 0.3), f"random:{EVIL}": features("bad", 2.0)}
    found = study(sets, costs={"good": Cost(50.0, 10**8)})
    best = found[found.best]
    background = background_predicts(frames(root, names), labels) if labels else None
    steady = {
        a.name: {
            harm: stability(a.features.vectors, features("x", 0.1 + 0.01 * i).vectors, labels)
            for i, harm in enumerate(harms(middle=a is not best))
        }
        for a in found.assessments
    }
    found = with_measures(found, {name: overall(harmed) for name, harmed in steady.items()})
    choices = (
        Choice("layer1", "gem", 8, (best.measures["RankMe"],)),
        Choice(f"layer2 {EVIL}", "avg", 8, (best.measures["RankMe"],)),
    )
    seen = findings(best, background=background)
    failed, skipped = {"gone": f"'{EVIL}' failed"}, ((EVIL, "not an image"),)
    return Choosing(root, found, seen, steady, choices if labelled else (), failed, skipped)


@pytest.fixture(scope="module")
def chosen(photos) -> Choosing:
    return made(photos)


class Page(HTMLParser):
    """Collects what a browser would fetch, and whether every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.fetched += [
            v for k, v in attrs if k in ("src", "href", "srcset") and v and not v.startswith("#")
        ]
        if tag not in ("meta", "img", "br", "link", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def test_the_page_is_whole_and_fetches_nothing(chosen):
    text = render(chosen, at=datetime(2026, 1, 2, tzinfo=UTC))
    page = Page(text)
    assert page.wrong == []
    assert page.open == []
    assert page.fetched
    assert all(source.startswith("data:image/jpeg") for source in page.fetched)
    assert not re.search(r"url\(|@import|https?://", text)
    assert "prefers-color-scheme:dark" in text
    assert "@media print" in text
    assert "2026-01-02" in text


def test_hostile_names_stay_text(chosen):
    text = render(chosen)
    assert EVIL not in text
    assert "&lt;script&gt;" in text
    assert "a &amp; b" in text


def test_every_number_stands_with_chance_protocol_and_meaning(chosen):
    text = render(chosen)
    best = chosen.study[chosen.study.best]
    for name, measure in best.measures.items():
        assert name in text
        if measure.defined:
            assert number(measure.value) in text
            assert re.sub("[&<>']", "", measure.protocol)[:30] in re.sub(r"&[a-z#0-9]+;|[&<>']", "", text)
    assert "Take good" in text
    assert "random weights takes part" in text
    assert "not an image" in text


def test_the_tables_of_a_phone_name_each_value(chosen):
    """There a row is a card: the name on a line of its own, and no head of the column above a value."""
    text = render(chosen)
    for table in ("labels per class", "layer, pooling"):
        start = text.rindex("<table", 0, text.index(f"<th>{table}</th>"))
        rows = text[start : text.index("</table>", start)]
        assert rows.startswith('<table class="tight cards">')
        assert '<td class="n" data-head="' in rows
        assert '<td class="n">' not in rows


def test_a_class_of_one_image_is_one_image():
    ids, labels = [str(i) for i in range(30)], ["many"] * 29 + ["one"]
    rows = np.random.default_rng(0).standard_normal((30, 4)).astype(np.float32)
    found = study({"good": Features.from_raw(ids, rows, Spec("good", "w", 4), labels=labels)})
    assert any("'one' has only 1 image: numbers" in text for text in cautions(found))


def test_the_data_is_strict_json_and_can_be_compared(chosen, tmp_path):
    page, data = write_report(chosen, tmp_path / "out")
    assert page.read_text(encoding="utf-8").startswith("\n<!doctype") or "<!doctype html>" in page.read_text()
    loaded = json.loads(data.read_text(), parse_constant=pytest.fail)
    assert loaded == json.loads(json.dumps(report_data(chosen)))
    assert loaded["best"] == "good"
    assert len(loaded["backbones"][0]["per_image"]["mAP"]) == 36
    changes = compare(read_report(page), read_report(tmp_path / "out"))
    assert {change.verdict for change in changes} <= {"within noise"}
    assert list((tmp_path / "out").glob("*.tmp")) == []


def test_without_labels_the_page_says_what_it_cannot_say(photos):
    text = render(made(photos, labelled=False))
    assert "no backbone is recommended" in text
    assert "linear probe accuracy" not in text
    assert Page(text).wrong == []


def test_small_things():
    assert [number(v) for v in (0.12345, 12.34, 345.6, -1.5, 17.0, None, float("nan"))] == [
        "0.123",
        "12.3",
        "346",
        "−1.500",
        "17",
        "–",
        "–",
    ]
    assert span((-0.5, 0.25)) == "−0.500 to 0.250"
    assert [rate(v) for v in (5.972, 41.4, None)] == ["6.0", "41", "–"]
    assert [count(n, "class", "classes") for n in (1, 2)] == ["1 class", "2 classes"]
    assert ticks(0.1, 0.9) == [0.2, 0.4, 0.6, 0.8]
    assert short("local-dir:/a/b/net") == "net"
    assert short("torchvision:squeezenet1_1=/w/file.safetensors") == "squeezenet1_1"
    assert short("classic:hog") == "classic:hog"


def test_a_map_by_neighbours_keeps_groups_apart():
    pytest.importorskip("openTSNE", reason="t-SNE maps come with the extra maps")
    classes = np.repeat([0, 1, 2], 20)
    raw = np.eye(3, 12)[classes] + 0.1 * np.random.default_rng(0).standard_normal((60, 12))
    labels = ["abc"[c] for c in classes]
    features = Features.from_raw(
        list(map(str, range(60))), raw.astype(np.float32), Spec("x", "x", 12), labels=labels
    )
    drawn = embedding_map(features, by="tsne")
    assert "t-SNE" in drawn
    centres = []
    for group in re.findall(r"<g[^>]*dots c\d[^>]*>(.*?)</g>", drawn):
        places = np.array(re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', group), float)
        centres.append(places.mean(axis=0))
    assert len(centres) == 3
    gaps = [np.linalg.norm(centres[i] - centres[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert min(gaps) > 60
    with pytest.raises(UnknownName, match="pca"):
        embedding_map(features, by="pcaa")


def test_who_skipped_a_file_is_told_where_others_could_read_it():
    spec = Spec("x", "x", 2)
    row = np.array([[1.0, 0.0]], np.float32)
    one = Features(("a",), row, spec, skipped=(("bad", "broken"), ("flat", "zero")))
    two = Features(("a",), row, spec, skipped=(("bad", "broken"),))
    assert _skipped({"one": one, "two": two}) == (("bad", "broken"), ("flat", "one: zero"))


def test_names_as_typed(tmp_path):
    weights = tmp_path / "w.safetensors"
    weights.touch()
    job = job_of(f"torchvision:vgg16={weights}", tmp_path)
    assert (job.name, job.weights, job.pretrained) == ("torchvision:vgg16", str(weights), True)
    assert not job_of("random:resnet18", tmp_path).pretrained
    assert job_of("a", tmp_path).folder(tmp_path) != job_of("b", tmp_path).folder(tmp_path)


def test_one_pass_each_cached_and_a_backbone_that_fails_stops_nothing(photos, tmp_path):
    seen = []
    options = {"stable": 12, "cache": tmp_path, "on_progress": lambda *step: seen.append(step)}
    names = ["classic:colour", "no_such_network_at_all"]
    first = choose(photos, names, **options)
    assert list(first.failed) == ["no_such_network_at_all"]
    assert first.study.best == "classic:colour"
    assert first.study["classic:colour"].cost.memory_bytes > 10**7
    assert ("classic:colour", 36, 36) in seen
    assert len(first.stability["classic:colour"]) == 27
    assert first.study["classic:colour"].measures["drift"].n == 12
    seen.clear()
    second = choose(photos, ["classic:colour"], **options | {"stable": 0, "split": "0.25"})
    assert seen[0][1] == 36  # all of them came from the cache
    assert second.study["classic:colour"].cost == first.study["classic:colour"].cost
    assert "classic:colour" in render(first)
    told = (first.findings.background, second.findings.background)
    assert [background.n for background in told if background] == [36, 9]  # it keeps to the split


def test_a_folder_that_is_not_there_and_only_failures_are_errors(photos, tmp_path):
    with pytest.raises(InvalidInput, match="no folder"):
        choose(tmp_path / "gone", ["embedded"])
    with pytest.raises(InvalidInput, match="only once"):
        choose(photos, ["embedded", "embedded"])
    with pytest.raises(BackboneError, match="no_such_network"):
        choose(photos, ["no_such_network_at_all"], cache=tmp_path)


def test_the_shift_to_another_folder_has_its_section_and_its_data(chosen: Choosing) -> None:
    from featurelens.assess.shift import shift

    first = chosen.study.assessments[0].features
    moved = first.vectors + np.where(np.arange(12) < 3, 0.0, 0.6).astype(np.float32)
    other = Features.from_raw(first.ids, moved, first.spec, labels=first.labels)
    told = replace(chosen, against=Path("night <b>"), shifts={first.spec.name: shift(first, other)})
    page = render(told)
    assert "How far away is night" in page
    assert "night <b>" not in page
    assert not Page(page).wrong
    assert "proxy A-distance" in page
    data = json.loads(json.dumps(report_data(told)))["shift"]
    assert data["backbones"][first.spec.name]["measures"]["MMD²"]["value"] > 0.1
    assert "How far away is" not in render(chosen)
