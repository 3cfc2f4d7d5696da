"""Lean passes: the plain pass is the oracle, to the last bit for scores and to rounding for gradients."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from featurelens.see.lean import lean
from featurelens.see.score import gradient
from fixtures.scored_nets import images

WHICH = torch.zeros(2, dtype=torch.long)


def seeded(net: nn.Module, *, frozen: bool = True) -> nn.Module:
    """The network in eval mode, its batch norms far from doing nothing."""
    draw = torch.Generator().manual_seed(3)
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.3, generator=draw)  # pyright: ignore[reportOptionalMemberAccess]
            part.running_var.uniform_(0.5, 2, generator=draw)  # pyright: ignore[reportOptionalMemberAccess]
            if part.affine:
                nn.init.uniform_(part.weight, -1.5, 1.5, generator=draw)
                nn.init.normal_(part.bias, 0, 0.3, generator=draw)
    return net.eval().requires_grad_(not frozen)


def agree(score: Callable[[Tensor, Tensor], Tensor], x: Tensor, tolerance: float) -> set[str]:
    """Lean and plain passes give the same; returns the steps of the way back."""
    (value, slope), (plain, wanted) = gradient(lean(score), x, WHICH), gradient(score, x, WHICH)
    assert torch.equal(value, plain), "to the last bit"
    assert (slope - wanted).abs().max() <= tolerance * wanted.abs().max()
    assert wanted.any()
    steps, todo = set(), [lean(score)(x.clone().requires_grad_(), WHICH).grad_fn]
    while todo:
        node = todo.pop()
        if node is not None and node not in steps:
            steps.add(node)
            todo += [following for following, _ in node.next_functions]
    return {node.name() for node in steps}


@pytest.mark.parametrize("kind", [torch.float64, torch.float32])
def test_every_step_gives_what_torchs_own_gives(kind: torch.dtype) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU6(inplace=True),
        nn.ZeroPad2d((0, 1, 2, 1)),
        nn.Conv2d(8, 16, 3, stride=(2, 1), groups=8, dilation=(1, 2)),
        nn.BatchNorm2d(16, affine=False, eps=0.3),
        nn.Hardtanh(-0.5, 0.7, inplace=True),
        nn.Flatten(),
    )
    net = seeded(net).to(kind)
    x = images(2, 16).to(kind)
    for laid in (x, x.contiguous(memory_format=torch.channels_last)):
        steps = agree(lambda x, _: net(x).sum(1), laid, 1e-12 if kind is torch.float64 else 1e-5)
        assert {"_NormedBackward", "_ClampedBackward", "_PaddedBackward"} <= steps
        assert not any("BatchNorm" in s or "Hardtanh" in s or "ConstantPad" in s for s in steps)


@pytest.mark.parametrize(
    "name", ["mobilenetv2_035", "densenet121", "hrnet_w18_small", "mixnet_s", "test_vit"]
)
def test_whole_networks_agree(name: str) -> None:
    torch.manual_seed(0)
    net = seeded(timm.create_model(name, pretrained=False)).double()
    agree(lambda x, _: net(x)[:, 3], images(2, 160 if name == "test_vit" else 64), 1e-10)


def test_what_is_used_twice_counts_twice() -> None:
    torch.manual_seed(0)
    conv, norm = seeded(nn.Conv2d(3, 4, 3)).double(), seeded(nn.BatchNorm2d(4)).double()

    def both(x: Tensor, _: Tensor) -> Tensor:
        found = conv(x)
        return (norm(found) * found.sin()).sum((1, 2, 3))

    assert "_NormedBackward" in agree(both, images(2), 1e-12)

    def clamped_in_place(x: Tensor, _: Tensor) -> Tensor:
        found = conv(x)
        F.relu6(found, inplace=True)
        return (found.sin() + F.hardtanh(found * 1.5, 0, 2, inplace=True)).sum((1, 2, 3))

    assert "_ClampedBackward" in agree(clamped_in_place, images(2), 1e-12)


def test_what_it_cannot_do_is_left_to_torch() -> None:
    torch.manual_seed(0)
    conv, norm = seeded(nn.Conv2d(3, 4, 3)).double(), seeded(nn.BatchNorm2d(4)).double()

    def changed_between(x: Tensor, _: Tensor) -> Tensor:
        return norm(conv(x).mul_(2)).sin().sum((1, 2, 3))

    def by_the_batch(x: Tensor, _: Tensor) -> Tensor:
        return F.batch_norm(conv(x), None, None, training=True).sin().sum((1, 2, 3))

    def padded_otherwise(x: Tensor, _: Tensor) -> Tensor:
        parts = F.pad(x, (1, 1), value=2.0), F.pad(x, (1, 1, 1, 1), mode="reflect"), F.pad(x, (-1, 3, 2, 0))
        return sum(part.sin().sum((1, 2, 3)) for part in parts)  # pyright: ignore[reportReturnType]

    for score in (changed_between, by_the_batch, padded_otherwise):
        steps = agree(score, images(2), 1e-12)
        assert not any(s.startswith("_") for s in steps)
    learning = seeded(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), frozen=False).double()
    steps = agree(lambda x, _: learning(x).sin().sum((1, 2, 3)), images(2), 1e-12)
    assert not any(s.startswith("_") for s in steps), "the weights' own gradients must not get lost"


def test_a_wrong_way_back_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sabotage: a batch norm that forgets its scale."""
    conv, norm = seeded(nn.Conv2d(3, 4, 3)).double(), seeded(nn.BatchNorm2d(4)).double()
    monkeypatch.setattr("featurelens.see.lean.scale_of", lambda var, weight, eps: torch.ones_like(var))
    with pytest.raises(AssertionError):
        agree(lambda x, _: norm(conv(x)).sum((1, 2, 3)), images(2), 1e-3)
