"""The doctor: what it says about a healthy and about a broken installation."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from featurelens.cli.checks import torch_advice


def test_a_mismatched_pair_of_torch_and_torchvision_is_named() -> None:
    advice = torch_advice("RuntimeError: operator torchvision::nms does not exist")
    assert "different builds" in advice
    assert "pip install" in advice


def test_the_doctor_reports_a_broken_torch_and_exits_1(tmp_path: Path) -> None:
    """A package that fails at import as the mismatched pair does stands in for it."""
    (tmp_path / "torchvision.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    command = Path(sys.executable).with_name("featurelens")
    done = subprocess.run(
        [command, "doctor", "--json"],
        env={"PYTHONPATH": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
    )
    checks = {check["what"]: check for check in json.loads(done.stdout)}
    assert done.returncode == 1
    assert checks["torch"]["state"] == "broken"
    assert "different builds" in checks["torch"]["todo"]
    assert checks["OpenVINO"]["state"] == "ok"
