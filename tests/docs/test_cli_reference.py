"""docs/cli.md is what `--help` says; make it again with `make docs`."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_the_reference_is_up_to_date() -> None:
    pinned = f"typer=={version('typer')}"
    if pinned not in (ROOT / "constraints.txt").read_text().splitlines():
        pytest.skip(f"written by the typer of constraints.txt, here is {pinned}")
    command = [
        sys.executable,
        "-m",
        "typer",
        "featurelens.cli.main",
        "utils",
        "docs",
        "--name",
        "featurelens",
    ]
    made = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8").strip() == made.strip()
