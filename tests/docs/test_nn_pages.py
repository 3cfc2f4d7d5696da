"""The Python of docs/blocks.md and docs/fusion.md runs, with small networks and random weights."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

DOCS = Path(__file__).resolve().parents[2] / "docs"


def examples(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.slow
def test_the_blocks_page(tmp_path: Path) -> None:
    first, second = examples("blocks.md")
    first = first.replace("pretrained=True", "pretrained=False").replace("size=224", "size=64")
    exec(first, {"folder": tmp_path / "bundle"})
    assert (tmp_path / "bundle" / "model.onnx").is_file()
    second = second.replace('"resnet18", ', '"test_resnet", pretrained=False, ')
    names = {"images": torch.rand(2, 3, 160, 160)}
    exec(second, names)
    assert names["logits"].shape == (2, 10)
    assert bool(((names["where"] > 0) & (names["where"] < 1)).all())


def test_the_fusion_page() -> None:
    random = np.random.default_rng(0)
    names = {
        "image_vectors": random.normal(size=(40, 6)),
        "text_vectors": random.normal(size=(40, 9)),
        "labels": ["a", "b"] * 20,
    }
    (code,) = examples("fusion.md")
    exec(code, names)
    assert names["vectors"].shape == (40, 15)
