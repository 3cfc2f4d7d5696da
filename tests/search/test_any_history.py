"""Whatever happens to the tree, and whenever update runs: the gallery equals one made afresh at the end."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from featurelens.search import Gallery
from featurelens.search.plan import Plan
from fixtures.drawn import encoded
from fixtures.galleries import assert_complete, filled
from fixtures.numpy_backbone import NumpyBackbone

NAMES = st.sampled_from(["a.png", "b.png", "c.jpg", "cat/a.png", "cat/b.png", "dog/a.png"])
SEEDS = st.integers(0, 3)  # few contents, so that twins and files that change places are common
STEPS = st.one_of(
    st.tuples(st.just("write"), NAMES, SEEDS),
    st.tuples(st.just("break"), NAMES, st.integers(0, 1)),
    st.tuples(st.just("rename"), NAMES, NAMES),
    st.tuples(st.just("swap"), NAMES, NAMES),
    st.tuples(st.just("copy"), NAMES, NAMES),
    st.tuples(st.just("delete"), NAMES, st.none()),
    st.tuples(st.just("touch"), NAMES, st.none()),
    st.tuples(st.just("update"), st.integers(1, 3), st.none()),
)


def apply(root: Path, step: tuple) -> None:
    kind, name, other = step
    path = root / name
    if kind == "write":
        path.write_bytes(encoded(other, kind="JPEG" if name.endswith("jpg") else "PNG"))
    elif kind == "break":
        path.write_bytes((encoded(0)[:70], b"just text")[other])
    elif not path.exists():
        return
    elif kind == "delete":
        path.unlink()
    elif kind == "touch":
        os.utime(path)
    elif kind == "rename":
        path.replace(root / other)
    elif kind == "copy" and name != other:
        shutil.copyfile(path, root / other)
    elif kind == "swap" and name != other and (root / other).exists():
        path.rename(root / "aside")
        (root / other).rename(path)
        (root / "aside").rename(root / other)


def live(tmp: Path, steps: list[tuple]) -> None:
    root = tmp / "photos"
    for folder in ("cat", "dog"):
        (root / folder).mkdir(parents=True)
    (root / "always.png").write_bytes(encoded(9))
    backbone = NumpyBackbone()
    with Gallery.create(root, backbone=backbone, at=tmp / "gallery") as gallery:
        for step in steps:
            if step[0] == "update":
                before = backbone.embedded
                report = gallery.update(batch_size=step[1], workers=2)
                assert report.added + report.changed + report.moved + report.unchanged == len(gallery)
                assert backbone.embedded - before <= report.added + report.changed
            else:
                apply(root, step)
        gallery.update()
        assert_complete(gallery, tmp / "fresh")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(STEPS, max_size=14))
@example(
    steps=[("write", "a.png", 1), ("write", "b.png", 2), ("update", 1, None), ("swap", "a.png", "b.png")]
)
@example(
    steps=[("write", "a.png", 1), ("write", "b.png", 2), ("update", 1, None), ("rename", "a.png", "b.png")]
)
@example(
    steps=[
        ("break", "a.png", 0),
        ("update", 1, None),
        ("rename", "a.png", "cat/a.png"),
        ("copy", "cat/a.png", "b.png"),
    ]
)
def test_any_history_ends_like_a_fresh_gallery(tmp_path_factory, steps):
    live(tmp_path_factory.mktemp("history"), steps)


def test_the_comparison_can_fail(tmp_path, monkeypatch):
    """Sabotage: an update that forgets deleted files must be noticed."""
    monkeypatch.setattr(Plan, "take_missing", lambda self: [])
    with pytest.raises(AssertionError):
        live(tmp_path, [("write", "a.png", 1), ("update", 1, None), ("delete", "a.png", None)])


def test_the_comparison_sees_a_wrong_vector(tmp_path):
    """Sabotage: the right rows with the vectors of another backbone must be noticed."""
    root = tmp_path / "photos"
    root.mkdir()
    (root / "a.png").write_bytes(encoded(1))
    wrong = NumpyBackbone(seed=3)
    wrong.spec = NumpyBackbone().spec
    with filled(root, wrong, at=tmp_path / "gallery") as gallery, pytest.raises(AssertionError):
        assert_complete(gallery, tmp_path / "fresh")
