"""The house rules that a machine can check."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_files_are_small() -> None:
    long = {str(p.relative_to(ROOT)): lines(p) for p in SOURCES if lines(p) > 300}
    assert not long, f"over 300 lines: {long}"
    assert statistics.median(lines(p) for p in SOURCES) <= 120


def test_imports_run_one_way() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


HEAVY = (
    "torch",
    "openvino",
    "numpy",
    "PIL",
    "usearch",
    "fastapi",
    "matplotlib",
    "sklearn",
    "pandas",
    "lance",
    "ray",
    "transformers",
    "soundfile",
    "soxr",
)


@pytest.mark.parametrize(
    ("code", "forbidden"),
    [
        ("import featurelens", HEAVY),
        ("import featurelens.cli.main", HEAVY),
        (
            "import featurelens.search",
            ("torch", "openvino", "sklearn", "pandas", "matplotlib", "lance", "ray", "pyarrow"),
        ),
        ("import featurelens.scale", ("torch", "openvino", "lance", "ray", "pyarrow", "fsspec")),
        ("import featurelens.images, featurelens.features", ("torch", "openvino", "sklearn", "pandas")),
        ("import featurelens.backbone", ("torch", "openvino", "timm", "transformers", "soundfile", "soxr")),
        ("import featurelens.sounds", ("torch", "transformers", "soundfile", "soxr")),
    ],
)
def test_importing_brings_nothing_heavy(code: str, forbidden: tuple[str, ...]) -> None:
    probe = f"import sys; {code}; print(sorted(set(sys.modules) & set({forbidden!r})))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]", f"{code} imports {done.stdout.strip()}"


def test_no_registry_hosts_and_no_machine_paths() -> None:
    pattern = re.compile(
        "py"
        + r"pi\.org|python"
        + r"hosted|registry\.n"
        + r"pmjs|deb\.de"
        + r"bian|(?<![a-z.])/(wo"
        + "rk|ro"
        + "ot)/"
    )
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in filter(None, listed.stdout.decode().split("\0")):
        path = ROOT / name
        if path.suffix in {".onnx", ".safetensors", ".png", ".webp", ".jpg"} or not path.is_file():
            continue
        found = pattern.search(path.read_text(encoding="utf-8", errors="replace"))
        assert not found, f"{name} holds '{found.group()}'" if found else ""


def test_only_small_binaries_are_tracked() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in filter(None, listed.stdout.decode().split("\0")):
        path = ROOT / name
        limit = 16_000_000 if "backbone/embedded/" in name else 1_500_000
        assert not path.is_file() or path.stat().st_size <= limit, f"{name} is larger than {limit:,} bytes"
