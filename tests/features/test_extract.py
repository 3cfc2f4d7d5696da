"""extract: what it takes, what it gives, and that bad files stop nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from featurelens.errors import InvalidInput
from featurelens.features import Features, Progress, extract
from featurelens.images.decode import decode
from fixtures.drawn import draw, draw_many, drawing, encoded
from fixtures.numpy_backbone import NumpyBackbone


def one_by_one(images, backbone: NumpyBackbone) -> np.ndarray:
    """The slow twin: decode and embed each image alone, normalise in float64."""
    raw = [backbone.embed(decode(image, fit=backbone.spec.fit).pixels[None])[0] for image in images]
    wide = np.stack(raw).astype(np.float64)
    return wide / np.linalg.norm(wide, axis=1, keepdims=True)


def test_a_folder_gives_names_vectors_and_class_labels(tmp_path):
    paths = [*draw_many(tmp_path / "cat", 5), *draw_many(tmp_path / "dog", 3, first=5)]
    draw(tmp_path / "top.jpg", 9, kind="JPEG")
    made = extract(tmp_path, NumpyBackbone(), batch_size=4)
    assert isinstance(made, Features)
    names = [p.relative_to(tmp_path).as_posix() for p in paths]
    assert sorted(made.ids) == [*names, "top.jpg"]
    assert made.labels is not None
    assert dict(zip(made.ids, made.labels, strict=True))["dog/006.png"] == "dog"
    assert dict(zip(made.ids, made.labels, strict=True))["top.jpg"] == ""
    expected = one_by_one([tmp_path / name for name in made.ids], NumpyBackbone())
    np.testing.assert_allclose(made.vectors, expected, atol=2e-7)


def test_lists_of_anything_give_the_same_vectors(tmp_path):
    arrays = [drawing(i) for i in range(5)]
    paths = draw_many(tmp_path, 5)
    forms = {
        "arrays": arrays,
        "one array": np.stack(arrays),
        "PIL": [Image.fromarray(a) for a in arrays],
        "bytes": [encoded(i) for i in range(5)],
        "paths": paths,
    }
    made = {name: extract(images, NumpyBackbone()) for name, images in forms.items()}
    assert made["arrays"].ids == tuple("01234")
    assert made["paths"].ids == tuple(map(str, paths))
    for features in made.values():
        np.testing.assert_array_equal(features.vectors, made["arrays"].vectors)


def test_bad_files_are_listed_and_stop_nothing(tmp_path):
    draw_many(tmp_path, 4)
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "half.png").write_bytes(encoded(1)[:60])
    events: list[Progress] = []
    made = extract(tmp_path, NumpyBackbone(), batch_size=2, on_progress=events.append)
    assert len(made) == 4
    assert [name for name, _ in made.skipped] == ["half.png", "notes.txt"]
    assert all(reason for _, reason in made.skipped)
    assert (events[0].done, events[-1].done, events[-1].total, events[-1].failed) == (0, 6, 6, 2)
    assert [e.done for e in events] == sorted(e.done for e in events)
    assert events[-1].rate > 0


def test_an_image_whose_vector_cannot_be_used_is_skipped_with_the_reason():
    class Odd(NumpyBackbone):
        def embed(self, pixels):
            raw = super().embed(pixels)
            raw[pixels.mean((1, 2, 3)) < 1] = 0
            raw[pixels.mean((1, 2, 3)) > 254] = np.nan
            return raw

    black, white = np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 255, np.uint8)
    made = extract([black, drawing(1), white], Odd())
    assert made.ids == ("1",)
    assert [one for one, _ in made.skipped] == ["0", "2"]
    assert "zero vector" in made.skipped[0][1]
    assert "not finite" in made.skipped[1][1]


def test_nothing_usable_gives_an_empty_result(tmp_path):
    (tmp_path / "a.txt").write_text("no")
    made = extract(tmp_path, NumpyBackbone(dim=7))
    assert made.vectors.shape == (0, 7)
    assert made.skipped[0][0] == "a.txt"


def test_pooled_maps_have_a_spec_of_their_own():
    backbone = NumpyBackbone()
    images = [drawing(i) for i in range(3)]
    flat = extract(images, backbone, pooling="flatten")
    average = extract(images, backbone, pooling="avg")
    assert (flat.spec.dim, average.spec.dim) == (48, 3)
    assert len({flat.spec.fingerprint, average.spec.fingerprint, backbone.spec.fingerprint}) == 3
    maps = backbone.maps(np.stack([decode(i, fit=backbone.spec.fit).pixels for i in images]))
    means = maps.mean((2, 3))
    np.testing.assert_allclose(average.vectors, means / np.linalg.norm(means, axis=1)[:, None], atol=1e-6)


def test_what_cannot_work_is_refused_before_any_work(tmp_path):
    backbone = NumpyBackbone()
    with pytest.raises(InvalidInput, match="There is no file or folder"):
        extract(tmp_path / "gone", backbone)
    with pytest.raises(InvalidInput, match="'1' is listed twice"):
        extract(["1", "2", "1"], backbone)
    with pytest.raises(InvalidInput, match="one label for each"):
        extract([drawing(1)], backbone, labels=["a", "b"])
    with pytest.raises(InvalidInput, match="not int"):
        extract(3, backbone)
    with pytest.raises(InvalidInput, match="engine='torch'"):
        extract([drawing(1)], backbone, layers=["layer1"])
    with pytest.raises(InvalidInput, match="There is no pooling 'mean'"):
        extract([drawing(1)], backbone, pooling="mean")
    with pytest.raises(InvalidInput, match="max_bytes"):
        extract([drawing(1)] * 100, backbone, pooling="flatten", max_bytes=1000)
    assert backbone.embedded == 0


class Listener(NumpyBackbone):
    """Gives each window of a sound, 0.1 s at 100 Hz, as it is."""

    def __init__(self) -> None:
        super().__init__()
        rules = {"rate": 100, "seconds": 0.1, "most": 4, "fill": "pad"}
        self.spec = replace(self.spec, dim=10, modality="sound", reading=rules)

    def embed(self, pixels):
        return pixels


def test_a_list_of_sounds_is_not_one_array():
    sounds = np.random.default_rng(0).normal(size=(3, 10)).astype(np.float32)
    made = extract(list(sounds), Listener())
    assert isinstance(made, Features)
    np.testing.assert_allclose(
        made.vectors, sounds / np.linalg.norm(sounds, axis=1, keepdims=True), atol=1e-6
    )
    with pytest.raises(InvalidInput) as error:
        extract(sounds, Listener())
    assert str(error.value) == (
        "This array [3, 10] may be one of the sounds or several. Give a list of them: [array] if it is one, "
        "list(array) if each row is one."
    )
    with pytest.raises(InvalidInput, match="2 labels for 3 sounds"):
        extract(list(sounds), Listener(), labels=["a", "b"])


def test_single_file_and_given_labels(tmp_path):
    path = draw(tmp_path / "a.png", 1)
    assert extract(path, NumpyBackbone(), labels=["mine"]).labels == ("mine",)
