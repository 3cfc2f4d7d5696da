"""Words as queries, on a backbone that knows six colours by name and on the towers of an untrained CLIP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from featurelens.errors import BackboneError, InvalidInput
from featurelens.search import Gallery, Hit, search_like, words
from fixtures.galleries import filled
from fixtures.worded import WordedBackbone, paint

NAMES = ("red", "green", "blue", "red-blue", "red-green", "yellow-white")


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    photos = tmp_path_factory.mktemp("photos")
    paint(photos, NAMES)
    with filled(photos, WordedBackbone()) as opened:  # type: ignore[arg-type]
        yield opened


def kinds(hits: list[Hit]) -> list[str]:
    return [hit.name.rpartition("-")[0] for hit in hits]


def picture(gallery: Gallery, kind: str) -> int:
    return next(hit.id for hit in gallery.images() if hit.name == f"{kind}-0.png")


def test_a_text_finds_what_it_says_and_its_similarity_is_a_cosine(gallery: Gallery) -> None:
    hits = gallery.search(text="green", k=6)
    assert kinds(hits) == ["green"] * 6
    backbone = WordedBackbone()
    text = backbone.embed_text(["green"])[0]
    wanted = gallery.vector(hits[0].id) @ (text / np.linalg.norm(text))
    assert hits[0].similarity == pytest.approx(float(wanted), abs=1e-6)


def test_two_texts_find_what_shows_both(gallery: Gallery) -> None:
    assert set(kinds(gallery.search(text=["red", "blue"], k=6))) == {"red-blue"}
    assert kinds(gallery.search(text="red", less_text="blue", k=6)) == ["red"] * 6


def test_like_this_but_blue(gallery: Gallery) -> None:
    """A picture of red and green, with words: more blue, less green."""
    like = picture(gallery, "red-green")
    assert set(kinds(gallery.search(like, k=6))) == {"red-green"}
    found = kinds(gallery.search(like, text="blue", less_text="green", k=6))
    assert set(found) == {"red-blue"}
    assert set(kinds(search_like(gallery, [like], text="blue", less_text="green", k=6))) == {"red-blue"}


def test_a_small_weight_leaves_the_picture_its_say(gallery: Gallery) -> None:
    like = picture(gallery, "red-green")
    assert set(kinds(gallery.search(like, text="blue", text_weight=0.05, k=6))) == {"red-green"}
    assert set(kinds(gallery.search(like, text="blue", text_weight=50.0, k=6))) == {"blue"}


def test_every_part_has_the_same_say(gallery: Gallery) -> None:
    """The slow twin: cosines to each part, in units of their spread over the gallery, added."""
    like = picture(gallery, "red")
    rows, backbone = gallery.features(), WordedBackbone()
    unit = lambda v: v / np.linalg.norm(v)  # noqa: E731
    parts = [(1.0, gallery.vector(like)), (0.7, unit(backbone.embed_text(["blue"])[0]))]
    parts.append((-0.7 * 0.4, unit(backbone.embed_text(["white"])[0])))
    scores = np.zeros(len(rows))
    for i, row in enumerate(rows.vectors):
        for weight, part in parts:
            scores[i] += weight * float(row @ part) / np.std([float(other @ part) for other in rows.vectors])
    hits = gallery.search(like, text="blue", less_text="white", text_weight=0.7, k=len(rows))
    wanted = [str(rows.ids[i]) for i in np.argsort(-scores, kind="stable")]
    by_name = dict(zip([str(i) for i in rows.ids], scores, strict=True))
    np.testing.assert_allclose([by_name[h.name] for h in hits], sorted(scores, reverse=True), atol=1e-4)
    assert hits[0].name == wanted[0]


def test_sabotage_unscaled_parts_lose_the_words(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "_even", lambda vector, rows: 20 * vector if vector[7] < 0.1 else vector)
    like = picture(gallery, "red-green")
    assert set(kinds(gallery.search(like, text="blue", less_text="green", k=6))) != {"red-blue"}


def test_limits_hold_for_words(gallery: Gallery) -> None:
    assert kinds(gallery.search(text="red", path="red-blue*", k=20)) == ["red-blue"] * 6
    best = gallery.search(text="red", k=1)[0].similarity
    assert gallery.search(text="red", min_similarity=best + 1e-3) == []


def test_what_cannot_be_searched_for_is_refused(gallery: Gallery) -> None:
    with pytest.raises(InvalidInput, match="Nothing to search for"):
        gallery.search()
    with pytest.raises(InvalidInput, match="empty text"):
        gallery.search(text=" ")
    with pytest.raises(InvalidInput, match="weight of the words is 0"):
        gallery.search(text="red", text_weight=0)
    with pytest.raises(InvalidInput, match="name at least one image"):
        search_like(gallery, [], text="red")


def test_a_gallery_without_words_says_what_to_index_with(tmp_path: Path) -> None:
    paint(tmp_path, ["red"], each=2)
    with filled(tmp_path) as opened, pytest.raises(BackboneError) as error:
        opened.search(text="red")
    assert "takes only images" in str(error.value)
    assert "--backbone clip:Xenova/clip-vit-base-patch32" in str(error.value)


def test_a_clip_gallery_from_start_to_end(clip, tmp_path: Path) -> None:
    """Untrained towers know no meaning: the hits are those of the towers' own cosines."""
    paint(tmp_path / "photos", NAMES[:3])
    with Gallery.create(tmp_path / "photos", backbone=f"clip:{clip.folder}") as opened:
        opened.update()
    with Gallery.open(tmp_path / "photos") as opened:
        hits = opened.search(text="a red dress on a chair", k=18)
        backbone, rows = opened.backbone, opened.features()
        text = backbone.embed_text(["a red dress on a chair"])[0]  # type: ignore[attr-defined]
        scores = rows.vectors @ (text / np.linalg.norm(text))
        assert [hit.name for hit in hits[:1]] == [str(rows.ids[scores.argmax()])]
        np.testing.assert_allclose([h.similarity for h in hits], sorted(scores, reverse=True), atol=1e-5)
        assert opened.spec.text
