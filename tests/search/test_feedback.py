"""More like these, less like those."""

from __future__ import annotations

import numpy as np
import pytest

from featurelens.errors import InvalidInput
from featurelens.search import feedback, feedback_vector, search_like
from fixtures.drawn import draw_many, drawing
from fixtures.galleries import filled
from oracles.rocchio import rocchio


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    photos = tmp_path_factory.mktemp("photos")
    draw_many(photos, 12)
    with filled(photos) as opened:
        yield opened


def test_the_vector_is_rocchios(gallery):
    ids = [hit.id for hit in gallery.images()]
    held = {one: gallery.vector(one).tolist() for one in ids}
    for more, less in (([0], []), ([0, 1, 2], []), ([0, 1], [5]), ([3], [4, 5, 6])):
        liked, disliked = [ids[i] for i in more], [ids[i] for i in less]
        expected = rocchio([held[i] for i in liked], [held[i] for i in disliked], list(held.values()))
        np.testing.assert_allclose(feedback_vector(gallery, liked, less=disliked), expected, atol=1e-6)


def test_it_moves_towards_what_is_liked_and_away_from_what_is_not(gallery):
    ids = [hit.id for hit in gallery.images()]
    place = lambda hits, one: [hit.id for hit in hits].index(one)  # noqa: E731
    plain = gallery.search(ids[0], k=12)
    liked = search_like(gallery, [ids[0], plain[8].id], k=12)
    assert place(liked, plain[8].id) < 8
    disliked = search_like(gallery, [ids[0]], less=[plain[1].id], k=12)
    liked = search_like(gallery, [ids[0]], k=12)
    cosine = {hit.id: hit.similarity for hit in liked}
    assert {hit.id: hit.similarity for hit in disliked}[plain[1].id] < cosine[plain[1].id]
    assert place(disliked, plain[1].id) > place(liked, plain[1].id)


def test_any_form_of_query_counts(gallery):
    one = gallery.images()[3]
    forms = feedback_vector(gallery, [one.id, drawing(7), one.path], less=[gallery.images()[5]])
    ids = [hit.id for hit in gallery.images()]
    np.testing.assert_allclose(
        forms, feedback_vector(gallery, [ids[3], ids[7], ids[3]], less=[ids[5]]), atol=1e-5
    )


def test_the_limits_are_those_of_search(gallery):
    ids = [hit.id for hit in gallery.images()]
    found = search_like(gallery, ids[:2], k=12)
    assert search_like(gallery, ids[:2], k=3) == found[:3]
    assert search_like(gallery, ids[:2], k=12, min_similarity=found[4].similarity) == found[:5]
    assert {hit.name for hit in search_like(gallery, ids[:2], path="00[01].png")} == {"000.png", "001.png"}


def test_what_cannot_be_searched_for_is_refused(gallery):
    with pytest.raises(InvalidInput, match="name at least one image"):
        feedback_vector(gallery, [])


def test_sabotage_turned_round_it_moves_the_wrong_way(gallery, monkeypatch):
    ids = [hit.id for hit in gallery.images()]
    other = gallery.search(ids[0], k=3)[1].id

    def cosine(**options) -> float:
        return {hit.id: hit.similarity for hit in search_like(gallery, [ids[0]], k=12, **options)}[other]

    before = cosine()
    assert cosine(less=[other]) < before
    monkeypatch.setattr(feedback, "LESS", -feedback.LESS)
    assert cosine(less=[other]) > before
