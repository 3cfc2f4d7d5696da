"""What docs/concepts.md shows, done in a folder of demo photos."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "concepts.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("skimage", reason="the demo photos come with scikit-image (extra demo)")
    from featurelens.images.samples import make_samples

    folder = tmp_path_factory.mktemp("page")
    make_samples(folder / "photos", crops=2)
    return folder


@pytest.mark.slow
def test_the_commands_run_in_their_order(folder: Path) -> None:
    (block,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    lines = [line.split("#")[0].strip() for line in block.splitlines()]
    assert len(lines) == 7
    for line in lines:
        words = shlex.split(line)
        words += ["--steps", "50"] if words[1] == "concepts" else []
        command = [Path(sys.executable).with_name(words[0]), *words[1:]]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        assert done.stdout
    for home in (folder / "photos" / ".featurelens" / "concepts", folder / "few", folder / "places"):
        assert {one.name for one in home.iterdir()} == {"concepts.html", "concepts.json", "concepts.npz"}


@pytest.mark.slow
def test_the_python_example_runs(folder: Path) -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith("(32, 8)")
    assert "of 8 concepts make" in done.stdout
