"""Labels by names alone: what is right on pictures of known colours, and how often "none of these" is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from featurelens.errors import BackboneError, InvalidInput
from featurelens.search import Gallery, label_images, prompt_vectors
from featurelens.search.ordinary_words import WORDS, ordinary
from featurelens.search.zero_shot import chance_line, standing_out
from fixtures.galleries import filled
from fixtures.worded import WordedBackbone, paint

KNOWN = ("red", "green", "blue")


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    photos = tmp_path_factory.mktemp("photos")
    paint(photos, [*KNOWN, "yellow", "black"])
    with filled(photos, WordedBackbone()) as opened:  # type: ignore[arg-type]
        yield opened


def truth(name: str) -> str:
    return name.rpartition("-")[0]


def test_every_picture_gets_its_colour_and_others_none(gallery: Gallery) -> None:
    found = label_images(gallery, KNOWN)
    assert [one.hit.name for one in found.images] == sorted(hit.name for hit in gallery.images())
    for one in found.images:
        kind = truth(one.hit.name)
        assert one.label == (kind if kind in KNOWN else None), one
        assert (one.score > found.line) == (one.label is not None)
    assert found.counts() == {"red": 6, "green": 6, "blue": 6, None: 12}


def test_score_and_margin_are_what_they_say(gallery: Gallery) -> None:
    found = label_images(gallery, KNOWN)
    backbone = WordedBackbone()
    labels, others = (prompt_vectors(backbone, names) for names in (KNOWN, ordinary(KNOWN)))  # type: ignore[arg-type]
    for one in found.images[::7]:
        vector = gallery.vector(one.hit.id)
        plain = [float(vector @ word) for word in others]
        scores = sorted(((float(vector @ v) - np.mean(plain)) / np.std(plain) for v in labels), reverse=True)
        assert one.score == pytest.approx(scores[0], rel=1e-4)
        assert one.margin == pytest.approx(scores[0] - scores[1], rel=1e-3, abs=1e-4)
        assert one.hit.similarity == pytest.approx(float(vector @ labels[KNOWN.index(one.best)]), abs=1e-5)
    assert label_images(gallery, ["red"]).images[0].margin is None


def test_a_prompt_is_the_mean_of_its_ways(gallery: Gallery) -> None:
    backbone = WordedBackbone()
    ways = ["a {} thing", "{}"]
    vectors = backbone.embed_text(["a red thing", "red"])
    mean = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).mean(0)
    found = prompt_vectors(backbone, ["red"], templates=ways)  # type: ignore[arg-type]
    np.testing.assert_allclose(found[0], mean / np.linalg.norm(mean), atol=1e-6)
    with pytest.raises(InvalidInput, match=r"each must hold \{\}"):
        prompt_vectors(backbone, ["red"], templates=["a photo"])  # type: ignore[arg-type]


def test_meaningless_labels_get_about_the_risk() -> None:
    """Labels that are to the images as ordinary words are: random directions, many draws, many images."""
    random = np.random.default_rng(0)
    images = random.normal(size=(400, 64)).astype(np.float32)
    shares = []
    for risk in (0.05, 0.2):
        for count in (1, 3, 10):
            labelled = []
            for _ in range(20):
                words, labels = (random.normal(size=(n, 64)).astype(np.float32) for n in (200, count))
                line = chance_line(images @ words.T, count, risk=risk)
                labelled.append(
                    float((standing_out(images @ labels.T, images @ words.T).max(1) > line).mean())
                )
            assert 0.6 * risk < np.mean(labelled) < 1.5 * risk, (risk, count, np.mean(labelled))
            shares.append(np.mean(labelled))
    assert np.mean(shares[3:]) > 2 * np.mean(shares[:3])


def test_sabotage_a_line_for_one_label_is_too_low_for_ten() -> None:
    random = np.random.default_rng(0)
    images = random.normal(size=(400, 64)).astype(np.float32)
    words, labels = (random.normal(size=(n, 64)).astype(np.float32) for n in (200, 10))
    line = chance_line(images @ words.T, 1, risk=0.05)
    assert (standing_out(images @ labels.T, images @ words.T).max(1) > line).mean() > 0.2


def test_the_ordinary_words_are_many_and_none_is_a_label() -> None:
    assert len(set(WORDS)) == len(WORDS) > 180
    assert all(word == word.strip() and word for word in ordinary([]))
    left = ordinary(["Red Dress", "running shoes", "scan"])
    assert not {"dress", "shoe", "x-ray scan"} & set(left)
    assert {"shirt", "dog"} < set(left)


def test_what_cannot_be_labelled_is_told(gallery: Gallery, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="No labels were given"):
        label_images(gallery, ["", " "])
    with pytest.raises(InvalidInput, match="labels is one text"):
        label_images(gallery, "red,blue")
    with pytest.raises(InvalidInput, match="risk is 1"):
        label_images(gallery, KNOWN, risk=1.0)
    paint(tmp_path, ["red"], each=1)
    with filled(tmp_path) as other, pytest.raises(BackboneError, match="Labelling by names needs a backbone"):
        label_images(other, KNOWN)
