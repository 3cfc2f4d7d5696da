"""A gallery remembers in what its vectors were computed: its network computes so again, and no other is let in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featurelens.backbone.bundle import open_bundle, write_bundle
from featurelens.backbone.half import halve_weights
from featurelens.backbone.protocol import Spec
from featurelens.errors import SpecMismatch
from featurelens.images.fit import Fit
from featurelens.search import Gallery
from fixtures.drawn import draw_many
from fixtures.galleries import filled
from fixtures.numpy_backbone import NumpyBackbone
from fixtures.onnx_nets import conv_net

SPEC = Spec("conv", weights="seeded", dim=5, fit=Fit(32, 32), map_channels=5)


def in_precision(precision: str) -> NumpyBackbone:
    network = NumpyBackbone()
    network.spec = replace(network.spec, precision=precision)
    return network


@pytest.mark.parametrize("at", ["folder", "g.lance"])
def test_a_gallery_of_half_weights_is_opened_with_them(tmp_path: Path, at: str) -> None:
    if at.endswith(".lance"):
        pytest.importorskip("lance")
    draw_many(tmp_path / "photos", 4)

    def half(path: Path) -> None:
        conv_net(path)
        halve_weights(path)

    write_bundle(tmp_path / "whole", SPEC, conv_net)
    write_bundle(tmp_path / "half", replace(SPEC, precision="fp16"), half)
    with Gallery.create(
        tmp_path / "photos", backbone=f"bundle:{tmp_path / 'half'}", at=tmp_path / at
    ) as gallery:
        gallery.update()
    with Gallery.open(tmp_path / at) as again:
        assert again.spec.precision == again.backbone.spec.precision == "fp16"
        assert again.search(tmp_path / "photos" / "002.png", k=1)[0].name == "002.png"
    whole = open_bundle(tmp_path / "whole", name=again.spec.name)
    with pytest.raises(SpecMismatch, match=r"computed in fp16; here it computes in fp32"):
        Gallery.open(tmp_path / at, backbone=whole)


@pytest.mark.parametrize(("held", "asked"), [("fp32", "fp32"), ("bf16", "auto")])
def test_its_network_is_loaded_to_compute_as_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: str, asked: str
) -> None:
    draw_many(tmp_path, 2)
    filled(tmp_path, in_precision(held)).close()
    told: dict[str, Any] = {}

    def load(name: str, **how: Any) -> NumpyBackbone:
        told.update(how)
        return in_precision(held)

    monkeypatch.setattr("featurelens.backbone.load_backbone", load)
    with Gallery.open(tmp_path) as gallery:
        assert gallery.backbone.spec.precision == held
    assert told["precision"] == asked


def test_vectors_of_a_gpu_are_not_mixed_with_those_of_a_cpu(tmp_path: Path) -> None:
    draw_many(tmp_path, 2)
    filled(tmp_path, in_precision("bf16")).close()
    with pytest.raises(SpecMismatch, match=r"computed in bf16; here it computes in fp32.*machine with CUDA"):
        Gallery.open(tmp_path, backbone=NumpyBackbone())


def test_float32_on_cuda_gives_the_vectors_of_the_cpu() -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA here")
    from featurelens.backbone import load_backbone

    pixels = np.random.default_rng(0).integers(0, 256, (4, 160, 160, 3), dtype=np.uint8)
    how = {"engine": "torch", "pretrained": False}
    cpu = load_backbone("test_vit", device="cpu", **how)  # type: ignore[arg-type]
    whole = load_backbone("test_vit", device="cuda", precision="fp32", **how)  # type: ignore[arg-type]
    low = load_backbone("test_vit", device="cuda", **how)  # type: ignore[arg-type]
    assert whole.spec.fingerprint == cpu.spec.fingerprint != low.spec.fingerprint
    a, b = cpu.embed(pixels), whole.embed(pixels)
    assert ((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min() > 0.9999
