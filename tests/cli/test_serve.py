"""`featurelens serve` as a user starts it."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from featurelens.search import Gallery
from fixtures.drawn import draw_many
from fixtures.served import wait_for


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "featurelens", "serve", *words]


def refused(*words: str, cwd: Path) -> tuple[int, str]:
    done = subprocess.run(command(*words), cwd=cwd, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served") / "photos"
    draw_many(folder, 6)
    Gallery.create(folder, backbone="classic:colour").close()
    return folder


def test_it_serves_and_indexes_and_ends_with_ctrl_c(photos: Path) -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command("--port", "0", "--token", "a b&c"), cwd=photos, stdout=pipe, stderr=pipe, text=True
    ) as server:
        assert server.stdout is not None
        link = server.stdout.readline().strip()
        assert link.endswith("/?token=a%20b%26c")
        with httpx.Client(follow_redirects=True, timeout=30) as client:
            assert "<html" in client.get(link).text
            address = link.partition("?")[0]
            wait_for(lambda: client.get(f"{address}api/v1/gallery").json()["images"] == 6)
        assert httpx.get(f"{address}api/v1/gallery").status_code == 401
        server.send_signal(signal.SIGINT)
        said = server.communicate(timeout=20)
    assert server.returncode == 0, said
    assert "Traceback" not in said[1]


def test_answers_leave_at_once() -> None:
    """Without TCP_NODELAY the end of each answer waits 40 ms for the client's acknowledgement."""
    from featurelens.cli.serve import _listening

    with _listening("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_other_machines_need_a_token(photos: Path) -> None:
    code, said = refused("--host", "0.0.0.0", cwd=photos)
    assert code == 2
    assert "token" in said


def test_a_port_that_is_taken_is_said_so(photos: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, said = refused("--port", str(taken.getsockname()[1]), cwd=photos)
    assert code == 2
    assert "--port 0" in said
    assert "Traceback" not in said


def test_without_a_gallery_it_says_how_to_make_one(tmp_path: Path) -> None:
    code, said = refused(cwd=tmp_path)
    assert code == 1
    assert "featurelens index" in said
