"""Nothing that runs here tells anybody that it runs: no telemetry of our own, none of the libraries' either."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

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
