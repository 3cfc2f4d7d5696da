"""Features of real photos under real networks, extracted once for all tests that ask."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from featurelens.features.table import Features

MOBILENET, SQUEEZENET = "mobilenetv2", "squeezenet1_1"


@pytest.fixture(scope="session")
def real(shared: Path) -> Callable[..., Features]:
    """`real(data, network, per_class=...)`: the first photos of each class of clothing10 or flowers5."""
    from featurelens.backbone import load_backbone
    from featurelens.features import extract

    weights = shared / "weights"
    kept: dict[tuple[str, str], Features] = {}

    def load(network: str):
        if network == MOBILENET:
            return load_backbone(f"local-dir:{weights / 'mobilenetv2_100.tflite_in1k'}")
        if network == SQUEEZENET:
            file = weights / "squeezenet1_1_torchvision.safetensors"
            return load_backbone("torchvision:squeezenet1_1", weights=file)
        if network == "random":
            return load_backbone("mobilenetv2_100", pretrained=False)
        return load_backbone(network)

    def features(data: str, network: str, *, per_class: int = 100) -> Features:
        root = shared / "data" / data
        classes = sorted(p for p in root.iterdir() if p.is_dir())
        files = [photo for folder in classes for photo in sorted(folder.iterdir())[:per_class]]
        names = [str(file.relative_to(root)) for file in files]
        found = kept.get((data, network))
        if found is None or not set(names) <= set(found.ids):
            raw = extract(files, load(network), labels=[file.parent.name for file in files])
            assert isinstance(raw, Features)
            kept[data, network] = found = Features(tuple(names), raw.vectors, raw.spec, raw.labels)
        rows = np.flatnonzero(np.isin(found.ids, names))
        return found.select(rows)

    return features
