"""POST /v1/embeddings, as the official client uses it."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import openai
import pytest

from featurelens.search import Gallery
from featurelens.web.app import make_app
from featurelens.web.limits import Limits
from fixtures.drawn import draw_many, encoded
from fixtures.galleries import filled
from fixtures.numpy_backbone import NumpyBackbone
from fixtures.serving import serving


def uri(seed: int, kind: str = "PNG") -> str:
    data = encoded(seed, kind=kind)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(data).decode()}"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A gallery behind a port and a token, and the official client."""
    folder = tmp_path_factory.mktemp("photos")
    draw_many(folder, 5)
    gallery = filled(folder, NumpyBackbone())
    app = make_app(gallery, token="secret")
    with serving(app) as address, openai.OpenAI(base_url=f"{address}/v1", api_key="secret") as client:
        yield client, gallery, address, app


def close(vector, expected) -> bool:
    return float(np.dot(vector, expected)) >= 0.9999 and np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_one_image_has_the_vector_that_the_gallery_gives(served):
    client, gallery, _, _ = served
    answer = client.embeddings.create(model=gallery.spec.name, input=uri(2))  # base64 on the wire
    assert close(answer.data[0].embedding, gallery.vector(encoded(2)))
    assert (answer.model, answer.object) == (gallery.spec.name, "list")


def test_many_images_as_numbers_keep_their_order(served):
    client, gallery, _, _ = served
    answer = client.embeddings.create(
        model=gallery.spec.name, input=[uri(seed) for seed in range(7)], encoding_format="float"
    )
    assert [one.index for one in answer.data] == list(range(7))
    assert all(close(one.embedding, gallery.vector(encoded(i))) for i, one in enumerate(answer.data))


def test_both_encodings_hold_the_same_numbers(served):
    client, gallery, _, _ = served
    both = [
        client.embeddings.create(model=gallery.spec.name, input=uri(3, "JPEG"), encoding_format=encoding)
        for encoding in ("float", "base64")
    ]
    numbers = np.array(both[0].data[0].embedding, np.float32)
    text = both[1].data[0].embedding
    other = (
        np.frombuffer(base64.b64decode(text), "<f4") if isinstance(text, str) else np.array(text, np.float32)
    )
    np.testing.assert_array_equal(numbers, other)


def test_models(served):
    client, gallery, _, _ = served
    assert [model.id for model in client.models.list()] == [gallery.spec.name]
    assert client.models.retrieve(gallery.spec.name).id == gallery.spec.name
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-5")


@pytest.mark.parametrize(
    ("options", "error", "word"),
    [
        ({"input": "a cat on a mat"}, openai.BadRequestError, "data URI"),
        ({"input": "https://example.com/cat.jpg"}, openai.BadRequestError, "not fetched"),
        ({"input": ["data:image/png;base64,AAAA"]}, openai.BadRequestError, "not an image"),
        ({"input": []}, openai.BadRequestError, "input"),
        ({"input": uri(1), "model": "text-embedding-3-small"}, openai.NotFoundError, "numpy-16-0"),
        ({"input": uri(1), "dimensions": 8}, openai.BadRequestError, "16 numbers"),
    ],
)
def test_errors_come_as_the_client_s_own_exceptions_with_words(served, options, error, word):
    client, gallery, _, _ = served
    with pytest.raises(error) as caught:
        client.embeddings.create(**{"model": gallery.spec.name, **options})
    assert word in caught.value.message
    assert caught.value.body["type"] == "invalid_request_error"  # pyright: ignore[reportIndexIssue, reportOptionalSubscript]


def test_a_wrong_key_is_an_authentication_error(served):
    _, gallery, address, _ = served
    with (
        openai.OpenAI(base_url=f"{address}/v1", api_key="wrong") as stranger,
        pytest.raises(openai.AuthenticationError),
    ):
        stranger.embeddings.create(model=gallery.spec.name, input=uri(1))


def test_what_many_clients_send_at_once_goes_through_the_network_together(tmp_path):
    """Sabotage: a queue that takes one item at a time has no batch of more."""
    draw_many(tmp_path, 2)
    network = NumpyBackbone()
    calls: list[int] = []
    embed, lock = network.embed, threading.Lock()

    def counted(pixels: np.ndarray) -> np.ndarray:
        with lock:
            calls.append(len(pixels))
        until = time.monotonic() + 20
        while len(calls) == 1 and time.monotonic() < until and len(waiting()) < 4:
            time.sleep(0.01)  # the first is at work until others wait behind it
        return embed(pixels)

    gallery: Gallery = filled(tmp_path, network)
    vectors = [gallery.vector(encoded(seed)) for seed in range(32)]
    network.embed = counted
    app = make_app(gallery, limits=Limits(latency_s=60))  # however slow the machine, nobody is sent away

    queue = app.state.current.service.queues["embed"]
    queue._budget_s = 60.0  # nor are batches small because the first one was held up

    def waiting() -> Sequence[object]:
        return queue._waiting

    with serving(app) as address:

        def ask(seed: int) -> bool:
            body = {"model": gallery.spec.name, "input": uri(seed)}
            answer = httpx.post(f"{address}/v1/embeddings", json=body, timeout=60)
            return close(answer.json()["data"][0]["embedding"], vectors[seed])

        with ThreadPoolExecutor(16) as pool:
            assert all(pool.map(ask, range(32)))
    assert sum(calls) == 32
    assert max(calls) >= 4, f"batches of {calls}"
