"""What docs/sound.md and docs/plugins.md show, done with an untrained CLAP for the one on the hub."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("transformers", reason="CLAP is transformers' (extra sound)")

from typer.testing import CliRunner

from featurelens.cli.main import app
from fixtures.made_sounds import write_sounds

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "sound.md").read_text(encoding="utf-8")
NAME = "clap:laion/clap-htsat-unfused"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_sounds(tmp_path / "sounds", kinds=("tone", "bell"), each=4, seconds=1.0)
    for kind in ("tone", "bell"):
        (tmp_path / "images" / kind).mkdir(parents=True)
        for number in range(4):
            pixels = np.random.default_rng(number).integers(0, 255, (40, 40, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / kind / f"{kind}-{number}.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path


@pytest.mark.slow
def test_the_commands_run_in_their_order(clap: Any, folder: Path) -> None:
    lines = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
    assert len(lines) == 6
    for line in lines:
        words = shlex.split(line.replace(NAME, f"clap:{clap.folder}"))
        done = CliRunner().invoke(app, words[1:])
        assert done.exit_code == 0, f"{line}\n{done.output}\n{done.exception!r}"
    assert (folder / "labels.csv").is_file()
    assert "<audio controls" in (folder / "found.html").read_text()
    assert (folder / "sounds/.featurelens/assess/report.html").is_file()


def test_the_python_runs(clap: Any, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    for code in (first, second):
        exec(code.replace(NAME, f"clap:{clap.folder}"), {})
    said = capsys.readouterr().out
    assert said.startswith("sound 10.0\nbell/bell-0.wav (8, 24)\n8 image + sound + text ")
    assert "mAP: all against " in said


def test_the_page_on_plugins_shows_the_example() -> None:
    page = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    shown = tomllib.loads(block)["project"]["entry-points"]
    real = tomllib.loads((ROOT / "examples/plugin-curves/pyproject.toml").read_text())["project"][
        "entry-points"
    ]
    assert shown == real
    from featurelens.backbone.reader import Reader

    offered = {name for name in vars(Reader) if not name.startswith("_")} | set(Reader.__annotations__)
    for name in ("sniff", "why_not", "read", "picture", "piecewise", "shape", "dtype"):
        assert name in offered
        assert f"`{name}" in page
