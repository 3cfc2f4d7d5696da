"""Sixty timm networks of different families with random weights: timm's `forward_intermediates` is the oracle."""

from __future__ import annotations

from typing import Any

import pytest

from featurelens.backbone.layers import layers
from featurelens.backbone.layout import layouts
from featurelens.backbone.tap import tap
from featurelens.backbone.token_grid import NCHW, as_map
from featurelens.errors import LayerError

timm = pytest.importorskip("timm")
torch = pytest.importorskip("torch")

# Small ones where a family has them; the number is the side of the input, where the default would be slow.
NETWORKS: dict[str, int | None] = {
    "bat_resnext26ts": 256, "beit_base_patch16_224": None, "caformer_s18": 96, "cait_xxs24_224": None,
    "coat_lite_tiny": 224, "coatnet_nano_rw_224": None, "convit_tiny": None, "convmixer_768_32": 64,
    "convnext_atto": 96, "crossvit_tiny_240": None, "cspresnet50": 96, "darknet17": 96, "davit_tiny": 96,
    "deit_tiny_patch16_224": None, "densenet121": 96, "dla34": 96, "dm_nfnet_f0": 96, "dpn48b": 96,
    "edgenext_xx_small": 96, "efficientformer_l1": 224, "efficientformerv2_s0": 224, "efficientnet_b0": 96,
    "efficientvit_b0": 96, "efficientvit_m0": 224, "eva02_tiny_patch14_224": None, "fastvit_t8": 96,
    "fasternet_t0": 96, "focalnet_tiny_srf": 96, "gcvit_xxtiny": 224, "ghostnet_100": 96, "gmixer_12_224": None,
    "hardcorenas_a": 96, "hgnetv2_b0": 96, "hiera_tiny_224": None, "hrnet_w18_small": 96, "inception_v4": 160,
    "levit_128s": 224, "mambaout_femto": 96, "maxvit_pico_rw_256": None, "mixer_s32_224": None,
    "mobilenetv3_small_050": 96, "mobileone_s0": 96, "mobilevit_xxs": 96, "mvitv2_tiny": 224,
    "nest_tiny": 224, "nextvit_small": 96, "pit_ti_224": None, "poolformer_s12": 96, "pvt_v2_b0": 96,
    "regnetx_002": 96, "repvgg_a0": 96, "resnet18": 96, "rexnet_100": 96, "sequencer2d_s": 224,
    "shvit_s1": 96, "starnet_s1": 96, "swin_tiny_patch4_window7_224": None, "tnt_s_patch16_224": None,
    "twins_svt_small": 96, "vit_tiny_patch16_224": None, "volo_d1_224": None, "xcit_nano_12_p16_224": None,
}  # fmt: skip


def build(name: str, size: int | None) -> tuple[Any, tuple[int, int]]:
    """The network (random weights, no classifier: quicker) and its input size."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = timm.create_model(name, num_classes=0).eval()
    side = size or net.pretrained_cfg["input_size"][1]
    return net, (side, side)


def faults_of(name: str, size: int | None) -> list[str]:
    """What is wrong with layers, maps and layouts of this network; empty if nothing is."""
    net, (rows, cols) = build(name, size)
    x = torch.randn(1, 3, rows, cols, generator=torch.Generator().manual_seed(0))
    try:
        with torch.inference_mode():
            return _faults(net, x)
    except (LayerError, RuntimeError) as error:
        return [f"{type(error).__name__}: {error}"]


def _faults(net: Any, x: Any) -> list[str]:
    listed = {layer.name for layer in layers(net, x)}
    faults = [] if len(listed) >= 10 else [f"only {len(listed)} layers listed"]
    stages = named_stages(net)
    with tap(net, stages, detach=True) as read:
        features = net.forward_features(x)
        found = {stage: read[stage] for stage in stages if read._outputs.get(stage)}
    told = layouts(net, ["", *found], tuple(x.shape[2:]), forward=lambda m, x: m.forward_features(x))
    found[""] = features
    wanted = {}
    if hasattr(net, "forward_intermediates"):
        try:
            _, last = net.forward_intermediates(x, indices=1, norm=True)
        except AssertionError:  # Hiera: "normalization of features not supported", and none is made
            _, last = net.forward_intermediates(x, indices=1)
        wanted[""] = last[-1]
        maps = net.forward_intermediates(x, norm=False, intermediates_only=True)
        wanted |= dict(zip(stages, maps, strict=True)) if len(maps) == len(stages) else {}
    for layer, output in found.items():
        if layer and len(told[layer]) != 1:
            continue  # a stage of several branches
        if len(told[layer]) != 1 or not told[layer][0].spatial:
            faults.append(f"'{layer}': no map, axes {[one.axes for one in told[layer]]}")
        elif not layer and told[layer][0] == NCHW and layer in wanted:
            # Nothing is rearranged, and some have a last convolution behind what timm hands out.
            if output.shape[2:] != wanted[layer].shape[2:]:
                faults.append(
                    f"a grid of {tuple(output.shape[2:])} instead of {tuple(wanted[layer].shape[2:])}"
                )
        elif layer in wanted:
            faults += differences(f"'{layer}'", as_map(output, layout=told[layer][0]), wanted[layer])
    return faults


def named_stages(net: Any) -> list[str]:
    """The layers after which timm hands out intermediate maps, where it names them all."""
    info = getattr(net, "feature_info", [])
    names = [one["module"] for one in getattr(info, "info", info)]
    return names if set(names) <= set(dict(net.named_modules())) else []


def differences(what: str, found: Any, wanted: Any) -> list[str]:
    if found.shape != wanted.shape:
        return [f"{what}: {tuple(found.shape)} instead of {tuple(wanted.shape)}"]
    scale = float(wanted.abs().max())
    return [] if torch.allclose(found, wanted, atol=1e-4 * scale, rtol=1e-4) else [f"{what}: other values"]


def test_the_comparison_sees_a_map_turned_round() -> None:
    """Sabotage: rows and columns exchanged."""
    net, (rows, cols) = build("test_vit", None)
    x = torch.randn(1, 3, rows, cols, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        _, wanted = net.forward_intermediates(x, indices=1, norm=True)
    assert differences("map", wanted[-1], wanted[-1]) == []
    assert differences("map", wanted[-1].transpose(2, 3), wanted[-1]) == ["map: other values"]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_maps_of_all_families_are_timms_own() -> None:
    assert len(NETWORKS) >= 60
    failures = {name: found for name, size in NETWORKS.items() if (found := faults_of(name, size))}
    for name, found in failures.items():
        print(name, "; ".join(found))
    # PiT and CrossViT give their class tokens only, so there is nothing to draw: no failure of ours, but counted.
    assert len(failures) <= 0.05 * len(NETWORKS), failures
