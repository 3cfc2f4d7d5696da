"""Shapes told by rules: torch's own meta kernels are the oracle, for results and for errors."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")

import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from featurelens.backbone import shapes_only  # noqa: E402
from featurelens.backbone.layout import layouts  # noqa: E402
from featurelens.backbone.shapes_only import ShapesOnly  # noqa: E402


def empty(*shape: int, dtype: Any = torch.float32) -> Any:
    return torch.empty(*shape, dtype=dtype, device="meta")


X, LAST = empty(2, 8, 6, 5), empty(2, 6, 5, 8).permute(0, 3, 1, 2)
TOKENS, TURNED = empty(2, 7, 8), empty(2, 8, 7).transpose(1, 2)
EIGHT, Q = empty(8), empty(2, 3, 7, 4)

FIT = {
    "linear": lambda: F.linear(TOKENS, empty(12, 8), empty(12)),
    "linear of turned tokens": lambda: F.linear(TURNED, empty(12, 8)),
    "layer norm": lambda: F.layer_norm(TOKENS, (8,), EIGHT, EIGHT),
    "layer norm of turned tokens": lambda: F.layer_norm(TURNED, (8,)),
    "batch norm": lambda: F.batch_norm(X, EIGHT, EIGHT, EIGHT, EIGHT),
    "batch norm, channels last": lambda: F.batch_norm(LAST, EIGHT, EIGHT),
    "attention": lambda: F.scaled_dot_product_attention(Q, Q, empty(2, 3, 7, 5)),
    "attention with a mask": lambda: F.scaled_dot_product_attention(Q, Q, Q, attn_mask=empty(7, 7)),
    "resized": lambda: F.interpolate(X, size=(9, 4), mode="bilinear"),
    "resized by a factor": lambda: F.interpolate(X, scale_factor=2.0),
    "gelu": lambda: F.gelu(TURNED),
    "relu": lambda: F.relu(LAST),
    "sigmoid": lambda: X.sigmoid(),
    "normalize": lambda: F.normalize(TURNED, dim=-1),
    "rolled": lambda: torch.roll(X, (1, 2), (2, 3)),
    "plus": lambda: TURNED + EIGHT,
    "plus, turned": lambda: EIGHT + TURNED,
    "plus, both repeated": lambda: empty(7, 1) + EIGHT,
    "plus another type": lambda: X + empty(2, 8, 6, 5, dtype=torch.float64),
    "times a number": lambda: LAST * 2,
    "divided": lambda: X / empty(8, 1, 1),
    "into": lambda: LAST.clone().add_(empty(8, 1, 1)),
    "filled": lambda: nn.init.trunc_normal_(empty(4, 8)),
    "whole numbers": lambda: empty(3, dtype=torch.int64) / 2,
}  # fmt: skip

MISFIT = {
    "linear": lambda: F.linear(TOKENS, empty(12, 9)),
    "layer norm": lambda: F.layer_norm(TOKENS, (7,)),
    "batch norm": lambda: F.batch_norm(X, empty(7), empty(7)),
    "attention": lambda: F.scaled_dot_product_attention(Q, empty(2, 3, 7, 5), Q),
    "plus": lambda: TOKENS + empty(3, 8),
    "into a smaller one": lambda: EIGHT.clone().add_(TOKENS),
}


@pytest.mark.parametrize("what", FIT)
def test_what_comes_out_is_laid_out_as_torch_itself_says(what: str) -> None:
    plain = FIT[what]()
    with torch.no_grad(), ShapesOnly():
        found = FIT[what]()
    assert (found.shape, found.dtype, found.device) == (plain.shape, plain.dtype, plain.device)
    assert found.stride() == plain.stride()


@pytest.mark.parametrize("what", MISFIT)
def test_what_does_not_fit_is_torchs_own_error(what: str) -> None:
    with pytest.raises((RuntimeError, ValueError)) as plain:
        MISFIT[what]()
    with pytest.raises(plain.type) as found, ShapesOnly():
        MISFIT[what]()
    assert str(found.value) == str(plain.value)


def test_tensors_with_values_are_computed_with() -> None:
    with ShapesOnly():
        assert F.relu(torch.tensor([-1.0, 2.0])).tolist() == [0.0, 2.0]


class Counted(TorchDispatchMode):
    """Which kernels ran, whatever device they ran for."""

    def __init__(self) -> None:
        super().__init__()
        self.ran: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.ran[func.name()] += 1
        return func(*args, **(kwargs or {}))


SLOW = ("addmm", "native_layer_norm", "native_batch_norm", "gelu", "erfinv_", "uniform_")


def last_features(net: Any, x: Any) -> Any:
    return net.forward_features(x)


def kernels(name: str) -> Counter[str]:
    net: Any = timm.create_model(name).eval()
    with Counted() as counted:
        layouts(net, [""], net.default_cfg["input_size"][1:], forward=last_features)
    return Counter({slow: n for slow in SLOW if (n := sum(counted.ran[k] for k in counted.ran if slow in k))})


@pytest.mark.parametrize("name", ["test_vit", "test_resnet", "convit_tiny"])
def test_shapes_are_found_without_the_kernels_that_take_torch_long(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not kernels(name)
    monkeypatch.setattr(shapes_only, "_RULES", {})
    assert kernels(name), "sabotage: without the rules they do run"


def test_names_are_looked_up_without_listing_the_network_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    net = nn.Sequential(*(nn.Conv2d(3, 3, 1) for _ in range(40)))
    listed = Counter()
    walk = nn.Module.named_modules

    def counted(self: nn.Module, *args: Any, **options: Any) -> Any:
        listed[self is net] += 1
        return walk(self, *args, **options)

    monkeypatch.setattr(nn.Module, "named_modules", counted)
    assert len(layouts(net, [str(i) for i in range(40)], (8, 8))) == 40
    assert listed[True] < 20
