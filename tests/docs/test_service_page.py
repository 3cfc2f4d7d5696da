"""docs/service.md: its commands run, and what it names exists."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from typer.main import get_command

from featurelens.cli.main import app
from featurelens.web.app import make_app
from fixtures.drawn import draw_many
from fixtures.galleries import filled
from fixtures.serve_process import serve_process
from fixtures.served import called, wait_for

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)


def test_every_option_file_and_metric_exists(tmp_path: Path) -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    known = {
        o
        for name in ("serve", "index")
        for option in commands[name].params
        for o in (*option.opts, *option.secondary_opts)
    }
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", PAGE))
    assert len(named) > 10
    assert named <= known, named - known
    for path in re.findall(r"`((?:deploy/|Dockerfile)[\w./]*)`", PAGE):
        assert (ROOT / path).is_file(), path
    draw_many(tmp_path, 1)
    with called(make_app(filled(tmp_path))) as client:
        text = client.get("/metrics").text
    metrics = set(re.findall(r"featurelens_\w+", PAGE))
    assert len(metrics) > 8
    assert metrics <= set(re.findall(r"# TYPE (featurelens_\w+)", text)), metrics


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here")
def test_a_gallery_is_exchanged_as_the_page_says(tmp_path: Path) -> None:
    make, serve = BLOCKS[0].strip().splitlines()
    draw_many(tmp_path / "photos", 4)
    sh = lambda command: subprocess.run(["sh", "-ec", command], cwd=tmp_path, check=True, capture_output=True)  # noqa: E731
    sh(make)
    featurelens = f"'{sys.executable}' -m featurelens"
    sh(
        f"{featurelens} index photos --gallery galleries/1 --backbone classic:hog && ln -s 1 galleries/current"
    )
    options = serve.replace("featurelens serve photos --no-update", "").replace("--log json", "").split()
    options[options.index("tokens")] = str(tmp_path / "tokens")
    options[options.index("0.0.0.0")] = "127.0.0.1"
    token = (tmp_path / "tokens").read_text().strip()
    assert len(token) == 64
    with serve_process(tmp_path / "galleries" / "current", *options) as service:
        assert httpx.get(f"{service.address}/api/v1/gallery").status_code == 401
        head = {"authorization": f"Bearer {token}"}
        about = lambda: httpx.get(f"{service.address}/api/v1/gallery", headers=head).json()["backbone"]  # noqa: E731
        assert about() == "classic:hog"
        sh(
            BLOCKS[1]
            .replace("featurelens index", f"{featurelens} index")
            .replace("-sfn galleries/2", "-sfn 2")
        )
        wait_for(lambda: about() == "classic:colour", 60)
