"""The complete networks against timm's and torchvision's: outputs, parameter counts, and as backbones."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torchvision
from timm.layers.cbam import LightChannelAttn

from featurelens.backbone import load_backbone
from featurelens.backbone.to_onnx import export_bundle
from featurelens.errors import BackboneError, InvalidInput, UnknownName
from featurelens.nn import (
    AttentionClassifier,
    AttentionHead,
    ChannelAttention,
    EfficientNet,
    PatchEmbedding,
    SqueezeExcitation,
    VisionTransformer,
    as_backbone,
    export_to,
    load_from,
)
from featurelens.nn.efficientnet import SCALES, scaled_channels
from fixtures.stirred import stirred

SMALL = {"size": 32, "patch": 8, "dim": 24, "depth": 2, "heads": 3, "classes": 5}


def parameters(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def timm_vit():
    options = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 3, "num_classes": 5}
    return timm.models.VisionTransformer(**options)


def torchvision_vit():
    return torchvision.models.VisionTransformer(32, 8, 2, 3, 24, 96, num_classes=5)


PEERS = {
    "ViT, timm": (lambda: VisionTransformer(**SMALL), timm_vit, 32),
    "ViT, torchvision": (lambda: VisionTransformer(**SMALL), torchvision_vit, 32),
    "EfficientNet-B0, timm": (EfficientNet, lambda: timm.create_model("efficientnet_b0"), 64),
    "EfficientNet-B0, torchvision": (EfficientNet, torchvision.models.efficientnet_b0, 64),
    "EfficientNet-B1, timm": (
        lambda: EfficientNet.scaled("b1"),
        lambda: timm.create_model("efficientnet_b1"),
        64,
    ),
}


@pytest.mark.parametrize("peer", PEERS)
def test_a_network_equals_its_peer_with_copied_weights(peer: str) -> None:
    make, make_theirs, size = PEERS[peer]
    theirs, ours = make_theirs(), make().eval()
    theirs = stirred(theirs) if "ViT" in peer else theirs.eval()
    x = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    load_from(ours, theirs)
    with torch.no_grad():
        expected = theirs(x)
        assert (ours(x) - expected).abs().max() <= 1e-5 * expected.abs().max().clamp(min=1)
        changed = next(p for p in ours.parameters() if p.ndim == 4)
        changed.mul_(1.1)  # sabotage: a tenth more in one layer is noticed
        assert (ours(x) - expected).abs().max() > 1e-4 * expected.abs().max()
        export_to(ours, theirs)
        assert (ours(x) - theirs(x)).abs().max() <= 1e-5 * theirs(x).abs().max().clamp(min=1)


@pytest.mark.parametrize(
    ("make", "make_theirs", "said"),
    [
        (
            EfficientNet,
            lambda: timm.create_model("tf_efficientnet_b0"),
            r"The eps of its norms is \[0.001\], here \[1e-05\]",
        ),
        (
            lambda: EfficientNet(eps=1e-3),
            lambda: timm.create_model("tf_efficientnet_b0"),  # pads as TensorFlow does
            "another padding",
        ),
        (
            lambda: VisionTransformer(**SMALL | {"heads": 6}),
            lambda: timm.models.VisionTransformer(
                img_size=32, patch_size=8, embed_dim=24, depth=2, num_heads=3, num_classes=5
            ),
            "number of heads",
        ),
        (lambda: ChannelAttention(16, 4), lambda: LightChannelAttn(16, rd_channels=4), "way of pooling"),
        (
            lambda: SqueezeExcitation(16, 4),
            lambda: timm.layers.SEModule(16, rd_channels=4, gate_layer="hard_sigmoid"),
            "activation",
        ),
        (
            lambda: PatchEmbedding(16, 4, 48),
            lambda: timm.layers.PatchEmbed(16, 4, 3, 48, strict_img_size=False),
            "",
        ),
    ],
    ids=["eps", "padding", "heads", "light", "gate", "equal"],
)
def test_what_no_weight_tells_is_compared_before_weights_are_exchanged(make, make_theirs, said: str) -> None:
    ours, theirs = make().eval(), make_theirs().eval()
    before = {name: tensor.clone() for name, tensor in ours.state_dict().items()}
    for exchange in (load_from, export_to):
        if not said:
            exchange(ours, theirs)
            continue
        with pytest.raises(InvalidInput, match=said):
            exchange(ours, theirs)
        assert all(torch.equal(before[name], tensor) for name, tensor in ours.state_dict().items())


def test_batch_norms_of_torchvisions_large_ones_are_met_by_eps() -> None:
    norm = partial(torch.nn.BatchNorm2d, eps=1e-3)
    config, last = torchvision.models.efficientnet._efficientnet_conf(
        "efficientnet_b5", width_mult=0.5, depth_mult=0.4
    )
    theirs = torchvision.models.EfficientNet(config, 0.4, last_channel=last, norm_layer=norm, num_classes=5)
    theirs = stirred(theirs)
    ours = EfficientNet(width=0.5, depth=0.4, classes=5, eps=1e-3).eval()
    load_from(ours, theirs)
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = theirs(x)
        assert (ours(x) - wanted).abs().max() <= 1e-5 * wanted.abs().max().clamp(min=1)


@pytest.mark.parametrize(
    ("make", "count", "name"),
    [
        (VisionTransformer, 22_050_664, "vit_small_patch16_224"),
        (EfficientNet, 5_288_548, "efficientnet_b0"),
        (lambda: EfficientNet.scaled("b3"), 12_233_232, "efficientnet_b3"),
    ],
)
def test_parameters_are_exactly_the_papers(make, count: int, name: str) -> None:
    with torch.device("meta"):
        assert parameters(make()) == count == parameters(timm.create_model(name))
        assert parameters(EfficientNet(width=1.1)) != 5_288_548


def test_compound_scaling_rounds_as_torchvision() -> None:
    from torchvision.models._utils import _make_divisible

    for width in (0.25, 0.7, *(s.width for s in SCALES.values())):
        for channels in (16, 24, 32, 40, 80, 112, 192, 320, 1280):
            assert scaled_channels(channels, width) == _make_divisible(channels * width, 8)


def test_patches_are_cut_row_by_row() -> None:
    """The slow twin: cut each square, flatten it, multiply."""
    cut, x = PatchEmbedding(12, 4, 5), torch.rand(2, 3, 12, 12)
    squares = [x[:, :, r : r + 4, c : c + 4].flatten(1) for r in (0, 4, 8) for c in (0, 4, 8)]
    slow = torch.stack([s @ cut.project.weight.flatten(1).T + cut.project.bias for s in squares], 1)
    assert (cut(x) - slow).abs().max() <= 1e-5
    assert (cut(x.mT) - slow).abs().max() > 1e-3, "the order of rows and columns counts"
    with pytest.raises(InvalidInput, match="32 × 32"):
        VisionTransformer(**SMALL)(torch.rand(1, 3, 40, 40))


def test_a_vision_transformer_shows_the_attention_that_it_computed_with() -> None:
    net, x = stirred(VisionTransformer(**SMALL)), torch.rand(2, 3, 32, 32)
    weights = net.attention(x)
    assert len(weights) == 2
    assert torch.allclose(weights[0].sum(-1), torch.ones(2, 3, 17))
    tokens = net.layers[0].norm_attention(net._begun(x))
    assert torch.allclose(weights[0], net.layers[0].attention.with_weights(tokens)[1])


@pytest.mark.parametrize(
    ("make", "size", "channels"),
    [(lambda: VisionTransformer(**SMALL), 32, 24), (lambda: EfficientNet(width=0.25, depth=0.3), 64, 320)],
    ids=["ViT", "EfficientNet"],
)
def test_a_network_is_a_backbone_that_exports(make, size: int, channels: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    backbone = as_backbone(make(), name="mine", size=size)
    assert backbone.spec.map_channels == channels
    parity = export_bundle(backbone, tmp_path / "bundle")
    assert parity.cosine >= 0.9999
    pixels = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), dtype=np.uint8)
    found = load_backbone(f"bundle:{tmp_path / 'bundle'}", threads=1).embed(pixels)
    assert np.abs(found - backbone.embed(pixels)).max() <= 1e-3 * np.abs(found).max()


def test_an_attention_classifier_finds_where_the_class_is() -> None:
    """Two classes that differ in one place of an 6 × 6 map: the map must rise there, the scores must be right."""
    source = torch.Generator().manual_seed(0)
    maps = torch.randn(96, 8, 6, 6, generator=source) * 0.3
    classes = torch.arange(96) % 2
    rows = torch.randint(0, 6, (96,), generator=source)
    maps[torch.arange(96), 0, rows, rows] += 4.0
    maps[torch.arange(96), 1 + classes, rows, rows] += 4.0
    torch.manual_seed(0)
    head = AttentionHead(8, 2)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.02)
    for _ in range(120):
        logits, where = head(maps)
        loss = torch.nn.functional.cross_entropy(logits, classes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (logits.argmax(1) == classes).float().mean() == 1
    there = where[torch.arange(96), 0, rows, rows].mean()
    assert there > where.mean() * 1.2, "the attended places are those that tell the class"


def test_any_backbone_takes_an_attention_head_and_is_a_backbone_again() -> None:
    for name in ("test_resnet", "test_vit"):
        net = load_backbone(name, engine="torch", pretrained=False)
        model = AttentionClassifier(net, 4, attention="cbam").eval()
        size = net.spec.fit.rows
        logits, where = model(torch.rand(2, 3, size, size))
        assert logits.shape == (2, 4)
        assert where.shape[:2] == (2, 1)
        again = as_backbone(model, name="attended", size=size, like=net.spec)
        assert again.spec.dim == net.spec.map_channels
        assert again.spec.mean == net.spec.mean
    plain = AttentionHead(8, 3, attention="none")
    maps = torch.rand(2, 8, 4, 4)
    assert torch.allclose(plain(maps).logits, plain.linear(maps.mean((2, 3))))
    with pytest.raises(InvalidInput, match="spatial, cbam, none"):
        AttentionHead(8, 3, attention="focus")
    with pytest.raises(UnknownName, match="b7"):
        EfficientNet.scaled("b9")
    with pytest.raises(InvalidInput, match="pool"):
        as_backbone(torch.nn.Linear(3, 3), name="x", size=8)


def test_a_backbone_without_a_map_is_refused() -> None:
    net = load_backbone("test_resnet", engine="torch", pretrained=False)
    from dataclasses import replace

    net.spec = replace(net.spec, map_channels=0)
    with pytest.raises(BackboneError, match="no spatial map"):
        AttentionClassifier(net, 2)
