"""The Python examples of docs/rest.md, run against a service that is started as the page says."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path

from fixtures.drawn import draw, draw_many

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "rest.md").read_text(encoding="utf-8")


def test_the_examples_run_as_the_page_says(tmp_path: Path) -> None:
    draw_many(tmp_path / "photos" / "cat", 8)
    draw_many(tmp_path / "photos" / "dog", 8, first=8)
    draw(tmp_path / "query.jpg", 3, kind="JPEG")
    draw(tmp_path / "other.jpg", 4, kind="JPEG")
    command = [sys.executable, "-m", "featurelens", "serve", "photos", "--port", "0"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        address = server.stdout.readline().strip().rstrip("/")
        code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
        assert "http://127.0.0.1:8765" in code
        # the page's reader has indexed the folder; here the job of the start may still run
        wait = "import httpx, time\nwhile httpx.get('URL/api/v1/gallery').json()['images'] < 16: time.sleep(0.1)\n"
        code = (wait + code).replace("URL", address).replace("http://127.0.0.1:8765", address)
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        server.send_signal(signal.SIGINT)
        said = server.communicate(timeout=20)
    assert done.returncode == 0, done.stderr + "".join(said)
    assert "cat/003.png" in done.stdout.splitlines()[1], done.stdout
    assert "in the folder cat" in done.stdout
    assert "done" in done.stdout
    assert server.returncode == 0, said


def test_every_route_of_the_table_exists() -> None:
    from featurelens.web.subjects import FIRST, LATER

    subjects = [*FIRST, *(import_module(f"featurelens.web.routes.{name}") for name in LATER)]
    known = {route.path for subject in subjects for route in subject.router.routes}
    table = "\n".join(line for line in PAGE.splitlines() if line.startswith("| `"))
    paths = re.findall(r"`(?:GET |POST )?(/[a-z0-9/{}_.]+)[?`]", table)
    assert len(paths) > 15
    for path in paths:
        found = any(path in (one, one.removeprefix("/api/v1")) or one.endswith(path) for one in known)
        assert found, path
