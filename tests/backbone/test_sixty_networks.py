"""Sixty timm networks of different families with random weights: timm's `forward_intermediates` is the oracle."""

from __future__ import annotations

from typing import Any

import pytest

from featurelens.backbone.layers import layers
from featurelens.backbone.layout import layouts
from featurelens.backbone.tap import tap
from featurelens.backbone.token_grid import NCHW, as_map
from featurelens.errors import LayerError
from fixtures.sixty_networks import NETWORKS

timm = pytest.importorskip("timm")
torch = pytest.importorskip("torch")


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
