"""LoRA: what is computed, and that merging changes nothing."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from featurelens.adapt.classifier import with_classes
from featurelens.adapt.lora import add_lora, is_added, merge_lora, plain_name
from featurelens.errors import BackboneError
from fixtures.learning import network


def stirred(module: nn.Module) -> nn.Module:
    """LoRA's second matrix begins at zero; here it has learnt something."""
    for name, parameter in module.named_parameters():
        if is_added(name):
            nn.init.normal_(parameter, std=0.3)
    return module


def test_a_linear_layer_is_its_weight_plus_the_scaled_product() -> None:
    torch.manual_seed(0)
    layer = nn.Sequential(nn.Linear(6, 4))
    weight, bias = layer[0].weight.detach().clone(), layer[0].bias.detach().clone()
    add_lora(layer, rank=2, alpha=6.0)
    stirred(layer)
    parts = dict(layer.named_parameters())
    up, down = (parts[f"0.parametrizations.weight.0.{side}"] for side in ("up", "down"))
    x = torch.randn(5, 6)
    wanted = x @ weight.T + (6.0 / 2) * (x @ down.T) @ up.T + bias
    assert torch.allclose(layer(x), wanted, atol=1e-6)
    assert not torch.allclose(layer(x), x @ weight.T + (x @ down.T) @ up.T + bias, atol=1e-3), (
        "the scale is seen"
    )


def test_a_convolution_is_a_convolution_by_down_and_then_up() -> None:
    """As the paper's two layers: `down` with the kernel, `up` with 1 × 1."""
    torch.manual_seed(0)
    layer = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1))
    weight, bias = layer[0].weight.detach().clone(), layer[0].bias.detach().clone()
    add_lora(layer, rank=2, alpha=2.0)
    stirred(layer)
    parts = dict(layer.named_parameters())
    up, down = (parts[f"0.parametrizations.weight.0.{side}"] for side in ("up", "down"))
    x = torch.randn(2, 3, 9, 9)
    low = F.conv2d(x, down.view(2, 3, 3, 3), stride=2, padding=1)
    wanted = F.conv2d(x, weight, bias, stride=2, padding=1) + F.conv2d(low, up.view(8, 2, 1, 1))
    assert torch.allclose(layer(x), wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "size"), [("test_resnet", 32), ("test_vit", 160), ("test_efficientnet", 32)]
)
def test_merged_equals_unmerged_bit_for_bit(name: str, size: int) -> None:
    made = with_classes(network(name, size), 3)
    x = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    plain = made.module(x)
    keys = list(made.module.state_dict())
    changed = add_lora(made.module, rank=2, skip=made.names)
    assert changed
    assert torch.equal(made.module(x), plain), "nothing changes before the first step"
    unmerged = stirred(made.module)(x)
    assert not torch.allclose(unmerged, plain, atol=1e-4)
    merge_lora(made.module)
    assert torch.equal(made.module(x), unmerged)
    assert sorted(made.module.state_dict()) == sorted(keys)
    made.module.get_parameter(f"{changed[-1]}.weight").data.mul_(1.001)  # sabotage
    assert not torch.equal(made.module(x), unmerged)


def test_grouped_convolutions_and_the_head_are_left_alone() -> None:
    made = with_classes(network("test_efficientnet"), 3)
    changed = add_lora(made.module, skip=made.names)
    assert not set(changed) & set(made.names)
    assert all(getattr(made.module.get_submodule(n), "groups", 1) == 1 for n in changed)
    assert {plain_name(n) for n, _ in made.module.named_parameters()} >= {f"{n}.weight" for n in changed}


def test_a_network_without_such_layers_is_told() -> None:
    with pytest.raises(BackboneError, match="no linear layer"):
        add_lora(nn.Sequential(nn.ReLU()))
