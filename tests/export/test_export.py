"""Exported files give timm's own numbers when other programs read them; what cannot be written leaves nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featurelens.backbone import load_backbone
from featurelens.backbone.bundle import read_spec, write_bundle
from featurelens.backbone.protocol import Spec
from featurelens.errors import FeaturelensError, InvalidInput
from featurelens.export import export
from featurelens.images.fit import Fit
from fixtures.drawn import draw_many
from fixtures.onnx_nets import conv_net

pytest.importorskip("timm")
NAME = "test_resnet"
PIXELS = np.random.default_rng(3).integers(0, 256, (5, 160, 160, 3), dtype=np.uint8)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEATURELENS_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield


def write(out: Path, **options: Any) -> Any:
    return export(NAME, out, pretrained=False, say=lambda text: None, **options)


@pytest.fixture(scope="module")
def wanted() -> np.ndarray:
    """timm's own pre-logits of the normalised images: the oracle."""
    import torch

    net: Any = load_backbone(NAME, engine="torch", pretrained=False)
    x = torch.from_numpy(PIXELS).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (net.spec.mean, net.spec.std))
    with torch.inference_mode():
        features = net.module.forward_features((x - mean) / std)
        return net.module.forward_head(features, pre_logits=True).numpy()


def close(found: np.ndarray, wanted: np.ndarray) -> bool:
    return bool(np.abs(found - wanted).max() <= 1e-4 * np.abs(wanted).max())


def test_onnx_runtime_reads_the_bundle(tmp_path: Path, wanted: np.ndarray) -> None:
    import onnxruntime

    made = write(tmp_path / "net")
    spec = read_spec(tmp_path / "net")
    session = onnxruntime.InferenceSession(
        tmp_path / "net" / "model.onnx", providers=["CPUExecutionProvider"]
    )
    x = (PIXELS.astype(np.float32) / 255 - np.float32(spec.mean)) / np.float32(spec.std)
    name = session.get_inputs()[0].name
    assert close(session.run(None, {name: x.transpose(0, 3, 1, 2).astype(np.float32)})[0], wanted)
    assert made.parity.cosine > 0.9999
    assert close(load_backbone(f"bundle:{tmp_path / 'net'}").embed(PIXELS), wanted)


def test_openvino_reads_pixels(tmp_path: Path, wanted: np.ndarray) -> None:
    from featurelens.backbone.engine import load_openvino

    write(tmp_path / "net", to="openvino")
    exact = {"INFERENCE_PRECISION_HINT": "f32"}  # else in bf16 where the processor has it
    model = load_openvino().Core().compile_model(str(tmp_path / "net" / "model.xml"), "CPU", exact)
    assert close(model(PIXELS)[0], wanted)
    assert not close(model(255 - PIXELS)[0], wanted), "the sabotage: other pixels give another vector"


def test_timm_reads_the_safetensors_folder(tmp_path: Path, wanted: np.ndarray) -> None:
    import timm
    import torch

    write(tmp_path / "net", to="safetensors")
    net = timm.create_model(f"local-dir:{tmp_path / 'net'}", pretrained=True).eval()
    data = timm.data.resolve_model_data_config(net)
    x = torch.from_numpy(PIXELS).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(data[k]).view(3, 1, 1) for k in ("mean", "std"))
    with torch.inference_mode():
        found = net.forward_head(net.forward_features((x - mean) / std), pre_logits=True)
    assert close(found.numpy(), wanted)


def test_torch_reads_its_export_with_any_batch(tmp_path: Path, wanted: np.ndarray) -> None:
    import torch

    write(tmp_path / "net", to="torch")
    module = torch.export.load(str(tmp_path / "net" / "model.pt2")).module()
    with torch.inference_mode():
        assert close(module(torch.from_numpy(PIXELS))[0].numpy(), wanted)
        assert close(module(torch.from_numpy(PIXELS[:1]))[0].numpy(), wanted[:1])


def test_half_precision_weighs_half_and_is_another_spec(tmp_path: Path, wanted: np.ndarray) -> None:
    whole, half = write(tmp_path / "whole"), write(tmp_path / "half", fp16=True)
    assert half.bytes < 0.65 * whole.bytes
    assert half.parity.cosine >= 0.9999
    assert half.precision == "fp16 weights, fp32 arithmetic"
    a, b = read_spec(tmp_path / "whole"), read_spec(tmp_path / "half")
    assert a.fingerprint != b.fingerprint, "a gallery of the one is not opened with the other"
    assert replace(b, precision=a.precision).fingerprint == a.fingerprint


def test_half_precision_leaves_no_whole_weights_beside_the_graph(tmp_path: Path) -> None:
    """As above 2 GB: torch's exporter then puts the weights into a second file."""
    import onnx

    def apart(file: Path) -> None:
        model = onnx.load(str(conv_net(file)))
        onnx.save(model, str(file), save_as_external_data=True, location="model.onnx.data", size_threshold=0)

    spec = Spec("conv", weights="w", dim=5, fit=Fit(32, 32), map_channels=5)
    write_bundle(tmp_path / "whole", spec, apart)
    assert (tmp_path / "whole" / "model.onnx.data").is_file()
    export(f"bundle:{tmp_path / 'whole'}", tmp_path / "half", fp16=True, say=lambda text: None)
    assert sorted(one.name for one in (tmp_path / "half").iterdir()) == ["model.onnx", "spec.json"]


def test_many_images_are_compared_a_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch holds the activations of a whole batch: 300 images of a ResNet-18 took 3 GB."""
    from featurelens.backbone.torch_backbone import TorchBackbone

    batches: list[int] = []
    embed = TorchBackbone.embed
    monkeypatch.setattr(
        TorchBackbone, "embed", lambda self, pixels: batches.append(len(pixels)) or embed(self, pixels)
    )
    draw_many(tmp_path / "images", 40)
    made = write(tmp_path / "net", to="safetensors", images=tmp_path / "images")
    assert made.parity.images == 40
    assert max(batches) <= 32


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"to": "tflite"}, "no format 'tflite'. Known: onnx"),
        ({"to": "torch", "fp16": True}, "for a bundle"),
        ({"fp16": True, "int8": True, "images": "."}, "not both"),
        ({"int8": True}, "give a folder"),
        ({"images": "nowhere"}, "There is no folder nowhere"),
    ],
)
def test_bad_requests_say_why_and_leave_nothing(tmp_path: Path, options: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        write(tmp_path / "net", **options)
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten_and_what_has_no_graph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    with pytest.raises(InvalidInput, match="is there already"):
        write(tmp_path / "net")
    with pytest.raises(FeaturelensError, match="no graph to write"):
        export("classic:hog", tmp_path / "hog", say=print)
    assert [path.name for path in tmp_path.iterdir()] == ["net"]
