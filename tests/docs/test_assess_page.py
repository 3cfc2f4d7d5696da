"""What docs/assess.md shows, done in a folder of demo photos."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "assess.md").read_text(encoding="utf-8")


def test_the_python_example_runs(tmp_path: Path) -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("silhouette (cosine): 0.")
    assert done.stdout.rstrip().endswith("1.0") or "0.99999" in done.stdout


def test_every_measure_of_a_report_is_explained() -> None:
    from featurelens.assess.perturbations import PERTURBATIONS

    assert "nine kinds of harm" in PAGE
    assert len(PERTURBATIONS) == 9
    for name in (
        "linear probe",
        "kNN",
        "mAP@R",
        "silhouette",
        "RankMe",
        "α-ReQ",
        "hubness",
        "CKA",
        "LogME",
        "drift",
    ):
        assert name in PAGE


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_commands_run_in_their_order(tmp_path: Path) -> None:
    pytest.importorskip("skimage", reason="the demo photos come with scikit-image (extra demo)")
    from featurelens.images.samples import make_samples

    make_samples(tmp_path / "photos", crops=2)
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    assert len(lines) >= 6
    beside = Path(sys.executable).parent
    for line in lines:
        words = shlex.split(line)
        into = tmp_path / words[words.index(">") + 1] if ">" in words else None
        arguments = [w for w in words[1:] if w not in (">", into and into.name)]
        if "assess" in words and "--stable" not in words:
            arguments += ["--stable", "0"]  # the longest part, which one of the lines shows
        done = subprocess.run(
            [beside / words[0], *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        assert done.stdout
        if into:
            into.write_text(done.stdout)
    assert (tmp_path / "before" / "report.html").is_file()
    assert (tmp_path / "photos" / ".featurelens" / "assess" / "report.json").is_file()
