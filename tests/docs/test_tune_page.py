"""What docs/tune.md shows, done with a small network in a folder of drawn photos."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.learning import draw_classes
from fixtures.torch_nets import local_dir

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "tune.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_python_example_runs(tmp_path: Path) -> None:
    draw_classes(tmp_path / "photos")
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "bundle" / "model.onnx").is_file()


def test_every_plan_and_every_file_is_explained(tmp_path: Path) -> None:
    from featurelens.adapt.tuning import PLANS

    for name in (
        *PLANS,
        "metrics.json",
        "confusion.csv",
        "predictions.csv",
        "curves.svg",
        "MODEL_CARD.md",
        "checkpoint.pt",
    ):
        assert f"`{name}`" in PAGE, name


@pytest.mark.slow
def test_the_commands_run_in_their_order(tmp_path: Path) -> None:
    draw_classes(tmp_path / "photos")
    draw_classes(tmp_path / "elsewhere", each=10)
    local_dir(tmp_path / "net", "test_resnet")
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    assert len(lines) >= 6
    for line in lines:
        words = [w.replace("resnet18", "local-dir:net") for w in shlex.split(line)]  # no download in a test
        words += {"tune": ["--epochs", "1"], "before-after": ["--units", "1", "--steps", "8"]}.get(
            words[1], []
        )
        command = [Path(sys.executable).with_name(words[0]), *words[1:]]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
    assert (tmp_path / "featurelens-out" / "changes" / "changes.html").is_file()
    assert (tmp_path / "run2" / "changes" / "changes.html").is_file()
