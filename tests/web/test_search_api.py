"""POST /api/v1/search answers what Gallery.search answers, in every way of asking."""

from __future__ import annotations

import base64

import pytest

from featurelens.search import Gallery, feedback_vector, search_region
from featurelens.web.shown import stamp
from fixtures.drawn import encoded


def search(client, **query):
    answer = client.post("/api/v1/search", json=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["hits"]


def as_pairs(hits):
    return [(hit["id"], pytest.approx(hit["similarity"], abs=1e-6)) for hit in hits]


def of_gallery(hits):
    return [(hit.id, hit.similarity) for hit in hits]


def uri(data: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(data).decode()


def upload(client, data: bytes) -> str:
    answer = client.post("/api/v1/uploads", files={"file": ("any name.png", data, "image/png")})
    assert answer.status_code == 201, answer.text
    return answer.json()["upload"]


def test_by_id(client, gallery: Gallery):
    assert as_pairs(search(client, ids=[3], k=5)) == of_gallery(gallery.search(3, k=5))


def test_by_an_image_in_the_request_and_by_an_upload(client, gallery: Gallery):
    data = encoded(99)
    expected = of_gallery(gallery.search(data, k=5))
    assert as_pairs(search(client, image=uri(data), k=5)) == expected
    assert as_pairs(search(client, upload=upload(client, data), k=5)) == expected


def test_filters(client, gallery: Gallery):
    for limits in ({"path": "dog"}, {"path": "*1.png"}, {"label": "cat"}, {"min_similarity": 0.2}):
        found = search(client, ids=[3], k=20, **limits)
        assert found
        assert as_pairs(found) == of_gallery(gallery.search(3, k=20, **limits))


def test_more_and_less(client, gallery: Gallery):
    first, second, *_, last = [hit.id for hit in gallery.images()]
    found = search(client, ids=[first, second], less=[last], k=6)
    wanted = feedback_vector(gallery, [first, second], less=[last])
    assert as_pairs(found) == of_gallery(gallery.search(wanted, k=6))


def test_a_box_on_the_query(client, gallery: Gallery):
    box = (0.0, 0.25, 0.5, 1.0)
    data = encoded(4)
    expected = search_region(gallery, data, box, k=4)
    found = search(client, upload=upload(client, data), box=box, k=4)
    assert [hit["id"] for hit in found] == [one.hit.id for one in expected]
    assert [tuple(hit["box"]) for hit in found] == [one.box for one in expected]


def test_the_answer_tells_all_that_a_page_shows(client, gallery: Gallery):
    (hit,) = search(client, ids=[3], k=1)
    own = gallery.image(3)
    assert hit == {
        "id": 3,
        "name": own.name,
        "similarity": pytest.approx(1, abs=1e-6),
        "label": own.label,
        "width": 48,
        "height": 40,
        "thumbnail": f"/api/v1/images/3/thumbnail?side=256&of={stamp(own)}",
    }


@pytest.mark.parametrize(
    ("query", "status", "word"),
    [
        ({}, 422, "something to search with"),
        ({"ids": [99]}, 404, "99"),
        ({"ids": [3], "less": [99]}, 404, "99"),
        ({"upload": "gone"}, 404, "upload"),
        ({"image": "http://127.0.0.1/x.png"}, 422, "not fetched"),
        ({"image": "file:///etc/passwd"}, 422, "not fetched"),
        ({"image": "data:image/png;base64,%%%"}, 422, "base64"),
        ({"image": uri(b"no image")}, 422, "not an image"),
        ({"ids": [3], "k": 0}, 422, "k"),
        ({"ids": [3], "k": 10**9}, 422, "k"),
        ({"ids": [3], "box": [0, 0, 2, 1]}, 422, "box"),
        ({"ids": [3], "box": [0.5, 0, 0.5, 1]}, 422, "box"),
        ({"ids": [3, 4], "box": [0, 0, 1, 1]}, 422, "one image"),
        ({"ids": [3], "nonsense": 1}, 422, "nonsense"),
    ],
)
def test_a_wrong_query_is_a_problem_in_words(client, query, status, word):
    answer = client.post("/api/v1/search", json=query)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    problem = answer.json()
    assert problem["status"] == status
    assert word in problem["detail"]


def test_the_line_below_which_nothing_matches_is_told_for_one_whole_image_only(
    client, gallery: Gallery, monkeypatch
):
    first, second = (hit.id for hit in gallery.images()[:2])
    monkeypatch.setattr(client.app.state.current.service.calibrated, "line", lambda: 0.42)
    for query, line in (
        ({"ids": [first]}, 0.42),
        ({"image": uri(encoded(1))}, 0.42),
        ({"ids": [first, second]}, None),
        ({"ids": [first], "less": [second]}, None),
        ({"ids": [first], "box": [0, 0, 0.5, 1]}, None),
    ):
        assert client.post("/api/v1/search", json=query).json()["nothing_matches_below"] == line
