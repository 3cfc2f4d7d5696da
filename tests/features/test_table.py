"""Features: what they refuse, and that no form of keeping them changes them."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurelens.backbone.protocol import Spec
from featurelens.errors import FeaturelensError, InvalidInput
from featurelens.features import Features

ODD_NAMES = (
    "plain.jpg",
    "-dash.jpg",
    "new\nline.png",
    os.fsdecode(b"caf\xe9.jpg"),
    "e\u0301.jpg",
    "\u00e9.jpg",
)


def features(count: int = 6, dim: int = 5, *, labels: bool = True, seed: int = 0) -> Features:
    raw = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    names = (*ODD_NAMES, *(f"{i}.png" for i in range(count)))[:count]
    texts = tuple("abc"[i % 3] for i in range(count)) if labels else None
    return Features.from_raw(names, raw, Spec("drawn", weights="w", dim=dim), labels=texts)


def assert_same(one: Features, other: Features) -> None:
    assert (one.ids, one.spec, one.labels, one.skipped) == (
        other.ids,
        other.spec,
        other.labels,
        other.skipped,
    )
    np.testing.assert_array_equal(one.vectors, other.vectors)


def test_raw_vectors_get_length_one():
    raw = np.array([[3, 4], [1e-30, 0], [1e30, 1e30]], np.float32)
    made = Features.from_raw("abc", raw, Spec("drawn", weights="w", dim=2))
    np.testing.assert_allclose(made.vectors, [[0.6, 0.8], [1, 0], [0.5**0.5, 0.5**0.5]], rtol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0])
def test_a_vector_without_a_direction_is_refused_by_name(bad: float):
    raw = np.array([[1, 1], [bad, bad]], np.float32)
    with pytest.raises(InvalidInput, match="'b' cannot be used"):
        Features.from_raw("ab", raw, Spec("drawn", weights="w", dim=2))


def test_what_does_not_fit_together_is_refused():
    unit = np.eye(2, dtype=np.float32)
    spec = Spec("drawn", weights="w", dim=2)
    with pytest.raises(InvalidInput, match="'a' stands twice"):
        Features(("a", "a"), unit, spec)
    with pytest.raises(InvalidInput, match="1 ids for 2 vectors"):
        Features(("a",), unit, spec)
    with pytest.raises(InvalidInput, match="1 labels for 2 images"):
        Features(("a", "b"), unit, spec, ("x",))
    with pytest.raises(InvalidInput, match="gives 3"):
        Features(("a", "b"), unit, Spec("drawn", weights="w", dim=3))
    with pytest.raises(InvalidInput, match="length 2, not 1"):
        Features(("a", "b"), unit * np.float32(2), spec)
    with pytest.raises(InvalidInput, match="length nan"):
        Features(("a", "b"), unit * np.float32(np.nan), spec)


def test_select_takes_masks_and_positions():
    six = features()
    mask = np.array([True, False, False, True, False, False])
    assert_same(six.select(mask), six.select([0, 3]))
    assert six.select([3, 0]).ids == (six.ids[3], six.ids[0])
    assert six.select([3, 0]).labels == ("a", "a")
    with pytest.raises(InvalidInput, match="mask has shape"):
        six.select(mask[:2])


@settings(max_examples=20, deadline=None)
@given(count=st.integers(0, 9), dim=st.integers(1, 6), labels=st.booleans(), seed=st.integers(0, 99))
def test_every_form_gives_back_what_went_in(tmp_path_factory, count, dim, labels, seed):
    folder = tmp_path_factory.mktemp("forms")
    kept = features(count, dim, labels=labels and count > 0, seed=seed)
    kept = Features(kept.ids, kept.vectors, kept.spec, kept.labels, (("bad\udce9.gif", "cut off"),))
    kept.save(folder / "saved")
    kept.to_npy(folder / "vectors.npy")
    kept.to_parquet(folder / "table.parquet")
    assert_same(kept, Features.load(folder / "saved"))
    assert_same(kept, Features.from_npy(folder / "vectors.npy"))
    assert_same(kept, Features.from_parquet(folder / "table.parquet"))
    assert_same(kept, Features.from_dataframe(kept.to_dataframe()))


def test_saving_again_replaces_and_leaves_nothing_else(tmp_path):
    features(3).save(tmp_path / "kept")
    features(6).save(tmp_path / "kept")
    assert len(Features.load(tmp_path / "kept")) == 6
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]


def test_saving_never_replaces_a_folder_of_something_else(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"precious")
    with pytest.raises(FeaturelensError, match="not a folder of features"):
        features().save(tmp_path / "photos")
    assert (tmp_path / "photos" / "a.jpg").read_bytes() == b"precious"


def test_a_failed_save_leaves_the_old_one(tmp_path, monkeypatch):
    features(3).save(tmp_path / "kept")

    def full(*_args: object, **_more: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space"):
        features(6).save(tmp_path / "kept")
    assert len(Features.load(tmp_path / "kept")) == 3
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]


def test_damage_is_said_and_not_taken_for_data(tmp_path):
    features().save(tmp_path / "kept")
    (part,) = (tmp_path / "kept").glob("part-*")
    whole = part.read_bytes()
    part.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FeaturelensError, match=r"part-00000000\.npz is damaged"):
        Features.load(tmp_path / "kept")
    part.write_bytes(whole)
    head = tmp_path / "kept" / "features.json"
    head.write_text('{"format": 99, "sets": {}}')
    with pytest.raises(FeaturelensError, match="has format 99"):
        Features.load(tmp_path / "kept")
    with pytest.raises(FeaturelensError, match="holds no features"):
        Features.load(tmp_path)


def test_npy_without_its_description_is_normalised_and_numbered(tmp_path):
    np.save(tmp_path / "raw.npy", np.array([[0, 2.0], [3, 0]]))
    read = Features.from_npy(tmp_path / "raw.npy")
    assert read.ids == ("0", "1")
    assert read.spec.name == "npy:raw.npy"
    np.testing.assert_array_equal(read.vectors, [[0, 1], [1, 0]])


def test_a_json_of_somebody_else_beside_the_vectors_is_refused(tmp_path):
    np.save(tmp_path / "raw.npy", np.array([[0, 2.0], [3, 0]]))
    for text in ('{"boxes": []}', "[1, 2]", "not json"):
        (tmp_path / "raw.json").write_text(text)
        with pytest.raises(InvalidInput, match=r"raw\.json is not what Features.to_npy writes"):
            Features.from_npy(tmp_path / "raw.npy")


def test_a_missing_label_of_a_table_is_no_class_of_its_own(tmp_path):
    frame = features(3).to_dataframe()
    frame["label"] = ["a", None, float("nan")]
    assert Features.from_dataframe(frame).labels == ("a", "", "")


def test_a_table_of_unknown_origin_is_refused(tmp_path):
    import pandas as pd

    pd.DataFrame({"id": ["a"], "vector": [[1.0]]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(InvalidInput, match="does not say which backbone"):
        Features.from_parquet(tmp_path / "other.parquet")
    with pytest.raises(InvalidInput, match="Give spec="):
        Features.from_dataframe(pd.DataFrame({"f0": [1.0]}))
