"""A service at twice what it can do, ended and killed in mid-load: nothing that was taken is lost. (Times: benchmarks.)"""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from featurelens.search import Gallery
from fixtures.drawn import draw
from fixtures.overload import crowded, ended_in_mid_load, pictures, restarted, unhurried
from fixtures.serve_process import serve_process


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("photos")
    for seed in range(40):
        draw(made / f"{seed:02d}.jpg", seed, kind="JPEG", size=(480, 640))
    with Gallery.create(made) as gallery:
        gallery.update()
    return made


@pytest.mark.slow
def test_twice_its_capacity_ends_in_429_and_nothing_else(folder: Path) -> None:
    bodies = pictures(folder, 16)
    with serve_process(folder, "--latency", "0.2", log="text") as service:
        _, capacity = unhurried(service, bodies, seconds=2.0)
        load = {"clients": 64, "rate": 2 * capacity}
        found, memory = crowded(service, bodies, seconds=10.0, **load)
        counts = found.counts()
        assert set(counts) == {200, 429}, counts
        assert counts[200] > 0.4 * capacity * 10, "it is kept busy"
        assert memory[1] < 1.2 * memory[0]
        assert restarted(service, folder, bodies) < 60


@pytest.mark.slow
@pytest.mark.parametrize("rate", [40.0, 400.0], ids=["quiet", "overloaded"])
def test_an_end_in_mid_load_loses_no_request_that_was_taken(folder: Path, rate: float) -> None:
    """Sabotage: a server that cancels what it has taken leaves names in its log that nobody got an answer to."""
    bodies = pictures(folder, 16)
    with serve_process(folder) as service:
        lost, ended = ended_in_mid_load(service, bodies, clients=32, rate=rate, seconds=4.0)
        assert service.process.returncode == 0
        assert lost == 0
        assert set(ended) & {503, -1}, "later ones were told so"
        assert {500, 502, 504}.isdisjoint(ended)
        taken = service.requests()
    assert sum(status == 200 for status in taken.values()) > 20


@pytest.mark.slow
def test_a_second_signal_ends_it_at_once(folder: Path) -> None:
    with serve_process(folder) as service:
        begun = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        service.process.send_signal(signal.SIGTERM)
        service.process.wait(30)
        assert time.monotonic() - begun < 30
