"""Images, captions and sounds of the same items: brought together, fused, assessed against each alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from featurelens.backbone import load_backbone
from featurelens.backbone.protocol import Spec
from featurelens.errors import BackboneError, InvalidInput
from featurelens.features import Features, extract, matched, text_features
from fixtures.made_sounds import write_sounds
from fixtures.worded import WordedBackbone


def features(ids: tuple[str, ...], labels: tuple[str, ...] | None = None, *, name: str = "a") -> Features:
    rows = np.random.default_rng(len(ids)).normal(size=(len(ids), 4)).astype(np.float32)
    return Features.from_raw(ids, rows, Spec(name, weights=name, dim=4), labels=labels)


def test_rows_are_brought_together_by_name() -> None:
    images = features(("cats/1.jpg", "cats/2.jpg", "dogs/3.jpg"), name="image")
    sounds = features(("dogs/3.wav", "cats/1.flac", "x.wav", "y.wav"), ("dog", "cat", "", ""), name="sound")
    one, other = matched(images, sounds)
    assert one.ids == other.ids == ("cats/1", "dogs/3")
    assert one.labels == other.labels == ("cat", "dog")
    np.testing.assert_array_equal(one.vectors, images.vectors[[0, 2]])
    np.testing.assert_array_equal(other.vectors, sounds.vectors[[1, 0]])
    assert (one.spec, other.spec) == (images.spec, sounds.spec)
    by_last = matched(images, sounds, key=lambda name: name.rpartition("/")[2][:1])
    assert by_last[0].ids == ("1", "3")


def test_what_cannot_be_brought_together_is_told() -> None:
    images = features(("1.jpg", "2.jpg"))
    with pytest.raises(InvalidInput, match=r"'1\.jpg' and '1\.png' are both the item '1'"):
        matched(features(("1.jpg", "1.png")), images)
    with pytest.raises(InvalidInput, match="No item is in all sets"):
        matched(images, features(("7.wav", "8.wav")))
    with pytest.raises(InvalidInput, match="give two or more"):
        matched(images)


def test_texts_become_features() -> None:
    found = text_features({"1": "red", "2": "blue dress"}, WordedBackbone(), labels=["r", "b"])
    assert (found.ids, found.labels, found.spec.modality) == (("1", "2"), ("r", "b"), "text")
    assert found.spec.fingerprint != WordedBackbone().spec.fingerprint
    with pytest.raises(InvalidInput, match="no texts"):
        text_features({}, WordedBackbone())
    with pytest.raises(BackboneError, match="Embedding texts needs"):
        text_features({"1": "red"}, load_backbone("classic:colour"))


def test_images_texts_and_sounds_are_fused_and_assessed(clap: Any, tmp_path: Path) -> None:
    """Sounds tell two of four classes apart, pictures the other two: only together they tell all."""
    torch = pytest.importorskip("torch")
    from featurelens.adapt.fused_features import fuse_features
    from featurelens.adapt.fusing import fuse, fused
    from featurelens.assess import fusion_gain, measure

    torch.set_num_threads(1)
    write_sounds(tmp_path / "sounds", each=12, kinds=("tone", "noise"), seconds=1.0)
    names, labels = [], []
    for kind in ("tone", "noise"):
        for number in range(12):
            colour = (200, 40, 40) if number % 2 else (40, 40, 200)
            names.append(f"{kind}/{kind}-{number}")
            labels.append(f"{kind} {number % 2}")
            (tmp_path / "images" / kind).mkdir(parents=True, exist_ok=True)
            spot = np.random.default_rng(number).integers(0, 60, (32, 32, 3)) + np.array(colour) // 2
            Image.fromarray(spot.astype(np.uint8)).save(tmp_path / "images" / f"{names[-1]}.png")
    net = load_backbone(f"clap:{clap.folder}", device="cpu", threads=1)
    images = extract(tmp_path / "images", load_backbone("classic:colour"), workers=1)
    sounds = extract(tmp_path / "sounds", net, workers=1)
    texts = text_features(dict.fromkeys(names, "a sound"), net, labels=labels)
    together = matched(texts, images, sounds)
    assert len(together[0]) == 24
    assert set(together[1].labels or ()) == set(labels), "labels come from the first set that has some"
    sets = dict(zip(("text", "image", "sound"), together, strict=True))
    made, fusion = fuse_features("weights", sets)
    weights = fusion.weights.tolist()
    assert weights[0] < 1e-6, "equal texts tell nothing"
    assert made.spec.modality == "text + image + sound"
    assert measure(made).measures["mAP"].value > 0.95

    def fit(sources: Any, known: Any) -> Any:
        joined = fuse("weights", sources, labels=known)
        return lambda given: fused(joined, given)

    arrays = {name: one.vectors for name, one in sets.items()}
    gain = fusion_gain(arrays, list(together[0].labels or ()), {"all": fit}, folds=3)
    best = max(gain.measures[one]["mAP"].value for one in sets)
    assert gain.measures["all"]["mAP"].value > best + 0.2
    with pytest.raises(InvalidInput, match="not of the same items"):
        fuse_features("concat", {"image": images, "sound": sounds})
