"""Nothing that runs here tells anybody that it runs: no telemetry of our own, none of the libraries' either."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

PROBE = """
import sys
def watch(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        print("NETWORK", event, args[-1], flush=True)
sys.addaudithook(watch)
from pathlib import Path
import numpy as np
from PIL import Image
from featurelens import Gallery
folder = Path(sys.argv[1])
Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(folder / "black.png")
with Gallery.create(folder) as gallery:
    gallery.update()
    print("FOUND", gallery.search(folder / "black.png")[0].name)
print("TELEMETRY", "openvino_telemetry" in sys.modules)
"""


def test_indexing_and_searching_asks_nothing_of_the_network(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "images").mkdir()
    hidden = {k: v for k, v in os.environ.items() if k not in ("CI", "TF_BUILD", "JENKINS_URL")}
    done = subprocess.run(
        [sys.executable, "-c", PROBE, tmp_path / "images"],
        capture_output=True,
        text=True,
        env=hidden | {"HOME": str(tmp_path / "home")},
        check=True,
    )
    assert done.stdout.split("\n")[:2] == ["FOUND black.png", "TELEMETRY False"], done.stdout
    assert not (tmp_path / "home" / "intel").exists(), "openvino_telemetry keeps its client id there"


def test_the_probe_would_see_the_engine_s_telemetry() -> None:
    """The sabotage: OpenVINO imported in the usual way brings it along (told to be in CI, it sends nothing)."""
    code = "import openvino, sys; print('openvino_telemetry' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | {"CI": "true"},
        check=True,
    )
    assert done.stdout.strip() == "True"


def test_only_the_engine_file_imports_openvino() -> None:
    """Any other import of it, first in a process, would send."""
    for path in sorted((ROOT / "src").rglob("*.py")):
        if path.name == "engine.py" and path.parent.name == "backbone":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        typing_only = {id(n) for t in ast.walk(tree) if isinstance(t, ast.If) and "TYPE_CHECKING" in ast.dump(t.test)
                       for n in ast.walk(t)}  # fmt: skip
        for node in ast.walk(tree):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found = [n for n in names if n.split(".")[0] == "openvino" and id(node) not in typing_only]
            assert not found, f"{path.relative_to(ROOT)} imports openvino; use backbone.engine.load_openvino"


def test_only_the_engines_file_imports_lance_and_ray() -> None:
    """There ray's usage statistics are switched off first; of Lance, which sends nothing, it silences the log."""
    pattern = re.compile(
        r"""^\s*(from|import) (lance|ray)\b|import_module\(["'](lance|ray)["'.]""", re.MULTILINE
    )
    for path in sorted((ROOT / "src").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if path.name != "engines.py":
            assert not pattern.search(text), (
                f"{path.relative_to(ROOT)} imports lance or ray; use scale.engines"
            )
    assert pattern.search("    import ray"), "the pattern finds nothing"


ASK_RAY = """
from {} import usage_stats_enabled
print("USAGE", usage_stats_enabled())
"""


def test_ray_reports_no_usage_whatever_the_user_s_environment_says() -> None:
    if find_spec("ray") is None:
        pytest.skip("needs ray (extra scale)")
    library = "ray._common.usage.usage_lib"
    ours = "from featurelens.scale.engines import load_ray; load_ray()\n" + ASK_RAY.format(library)
    usual = "import ray\n" + ASK_RAY.format(library)
    said = [
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            env=os.environ | {"RAY_USAGE_STATS_ENABLED": "1"},
            check=True,
        ).stdout.strip()
        for code in (ours, usual)
    ]
    assert said == ["USAGE False", "USAGE True"], "the second is the sabotage: ray imported in the usual way"


TABLE_PROBE = """
import sys
def watch(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        print("NETWORK", event, args[-1], flush=True)
sys.addaudithook(watch)
from pathlib import Path
import numpy as np
from PIL import Image
from featurelens import Gallery
folder = Path(sys.argv[1])
Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(folder / "black.png")
with Gallery.create(folder, at=folder.parent / "g.lance", backbone="classic:colour") as gallery:
    gallery.update()
    print("FOUND", gallery.search(folder / "black.png")[0].name)
"""


def test_a_table_on_this_machine_asks_nothing_of_the_network(tmp_path: Path) -> None:
    """Python's side by its audit hook; `strace -f -e connect,sendto` of the same run saw nothing either (2026-11-26)."""
    if find_spec("lance") is None:
        pytest.skip("needs pylance (extra scale)")
    (tmp_path / "images").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", TABLE_PROBE, tmp_path / "images"],
        capture_output=True,
        text=True,
        env=os.environ | {"FEATURELENS_CACHE": str(tmp_path / "cache")},
        check=True,
    )
    assert done.stdout.split("\n") == ["FOUND black.png", ""], done.stdout
