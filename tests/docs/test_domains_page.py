"""What docs/domains.md shows, done with the embedded backbone on drawn photos."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from featurelens.assess.domains import write_domain
from fixtures.learning import draw_classes

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "domains.md").read_text(encoding="utf-8")


def test_every_method_criterion_and_file_is_explained() -> None:
    from featurelens.adapt.domain import CRITERIA, METHODS
    from featurelens.assess.domains import DOMAINS

    files = (
        "MODEL_CARD.md",
        "shift.json",
        "metrics.json",
        "tried.csv",
        "predictions.csv",
        "confusion.csv",
        "head.npz",
    )
    for name in (*METHODS, *CRITERIA, *files):
        assert f"`{name}`" in PAGE, name
    assert all(kind in PAGE for kind in DOMAINS)


def test_the_first_python_example_runs() -> None:
    code = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("proxy A-distance: 1.")


@pytest.mark.slow
def test_the_commands_and_the_second_example_run(tmp_path: Path) -> None:
    write_domain(draw_classes(tmp_path / "photos"), tmp_path / "drawings", "sketch")
    (block,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    lines = [line.split("#")[0].strip() for line in block.splitlines()]
    assert len(lines) == 5
    for line in lines:
        words = shlex.split(line)
        words += ["--epochs", "2"] if words[1] == "adapt" else []
        command = [Path(sys.executable).with_name(words[0]), *words[1:]]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
    page = (tmp_path / "photos" / ".featurelens" / "assess" / "report.html").read_text()
    assert "How far away is drawings?" in page
    code = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[1]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith("fused:tried/backbone")
