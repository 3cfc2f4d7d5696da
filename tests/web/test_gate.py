"""Too much at once, too long, or at the end: who is refused is told so in words and numbers, and nobody else suffers."""

from __future__ import annotations

import base64
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest

from featurelens.web.app import make_app
from featurelens.web.limits import Limits
from fixtures.drawn import draw_many, encoded
from fixtures.galleries import filled
from fixtures.numpy_backbone import NumpyBackbone
from fixtures.served import called, wait_for
from fixtures.serving import serving


class Held(NumpyBackbone):
    """A network that waits until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go, self.at_work = threading.Event(), threading.Event()
        self.go.set()

    def embed(self, pixels: np.ndarray) -> np.ndarray:
        self.at_work.set()
        assert self.go.wait(30)
        return super().embed(pixels)


def uri(seed: int) -> str:
    return "data:image/png;base64," + base64.b64encode(encoded(seed)).decode()


@pytest.fixture
def network() -> Held:
    return Held()


@pytest.fixture
def gallery(tmp_path, network: Held):
    draw_many(tmp_path, 3)
    made = filled(tmp_path, network)
    network.at_work.clear()
    network.go.clear()
    return made


def test_beyond_the_queue_there_is_429_and_when_to_come_again(gallery, network: Held):
    app = make_app(gallery, limits=Limits(waiting=2))
    with serving(app) as address, ThreadPoolExecutor(2) as pool:
        send = lambda seed: httpx.post(f"{address}/api/v1/search", json={"image": uri(seed)}, timeout=60)  # noqa: E731
        accepted = [pool.submit(send, seed) for seed in range(2)]
        wait_for(lambda: app.state.lane.inside == 2)
        refused = send(2)
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.headers["content-type"] == "application/problem+json"
        assert "try again" in refused.json()["detail"]
        model = httpx.get(f"{address}/v1/models").json()["data"][0]["id"]  # what needs no engine is answered
        openai = httpx.post(f"{address}/v1/embeddings", json={"model": model, "input": uri(2)})
        assert openai.status_code == 429
        assert openai.json()["error"]["code"] == "rate_limit_exceeded"
        assert int(openai.headers["retry-after"]) >= 1
        network.go.set()
        assert [one.result(30).status_code for one in accepted] == [200, 200]
        assert send(2).status_code == 200
        metrics = httpx.get(f"{address}/metrics").text
    assert 'status="429"' in metrics
    assert app.state.lane.inside == app.state.door.inside == 0


def test_what_takes_too_long_is_given_up_and_the_service_goes_on(gallery, network: Held):
    with serving(make_app(gallery, limits=Limits(answer_s=0.3))) as address:
        late = httpx.post(f"{address}/api/v1/search", json={"image": uri(1)}, timeout=60)
        assert late.status_code == 504
        assert "0.3 s" in late.json()["detail"]
        network.go.set()
        again = lambda: httpx.post(f"{address}/api/v1/search", json={"image": uri(1)}).status_code == 200  # noqa: E731
        wait_for(again)


def test_a_body_that_is_still_on_its_way_takes_no_place(gallery, network: Held):
    network.go.set()
    app = make_app(gallery, limits=Limits(waiting=1))
    with serving(app) as address:
        read = threading.Event()

        def slow():
            yield b'{"ids": '
            read.wait(20)
            yield b"[1]}"

        with ThreadPoolExecutor(1) as pool:
            head = {"content-type": "application/json"}
            late = pool.submit(
                httpx.post, f"{address}/api/v1/search", content=slow(), headers=head, timeout=30
            )
            wait_for(lambda: app.state.door.inside == 1)
            assert httpx.post(f"{address}/api/v1/search", json={"ids": [1]}).status_code == 200
            read.set()
            assert late.result(30).status_code == 200


def test_at_the_end_nobody_is_let_in_and_those_inside_are_answered(gallery, network: Held):
    app = make_app(gallery)
    with serving(app) as address, ThreadPoolExecutor(1) as pool:
        inside = pool.submit(httpx.post, f"{address}/api/v1/search", json={"image": uri(1)}, timeout=60)
        assert network.at_work.wait(30)
        app.state.door.closing = True
        for path in ("/health", "/api/v1/gallery", "/"):
            refused = httpx.get(address + path)
            assert refused.status_code == 503
            assert refused.headers["connection"] == "close"
            assert refused.headers["retry-after"]
        network.go.set()
        assert inside.result(30).status_code == 200


def test_each_client_has_its_rate(tmp_path):
    draw_many(tmp_path, 2)
    limits = Limits(rate=0.01, burst=3)
    with called(make_app(filled(tmp_path), limits=limits)) as client:
        codes = [client.get("/api/v1/gallery").status_code for _ in range(5)]
        assert codes == [200, 200, 200, 429, 429]
        assert int(client.get("/api/v1/gallery").headers["retry-after"]) == 60
        assert client.get("/health").status_code == 200, "whoever watches the service is free"
        another = client._transport.client  # the address that the test client says it has
        client._transport.client = ("10.1.2.3", 1)
        assert client.get("/api/v1/gallery").status_code == 200
        client._transport.client = another
