"""Bit for bit as before: mode, requires_grad, gradients, hooks, buffers, caches, random state."""

from __future__ import annotations

import random

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from featurelens.backbone.attention import attention_weights  # noqa: E402
from featurelens.backbone.layers import layers  # noqa: E402
from featurelens.backbone.layout import layouts  # noqa: E402
from featurelens.backbone.tap import alter, tap  # noqa: E402
from featurelens.backbone.untouched import untouched  # noqa: E402
from fixtures.odd_nets import odd  # noqa: E402

X = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def used():
    """A network in the middle of training: mixed modes, a frozen part, gradients, a hook of the user's."""
    net = odd().train()
    net.norm.eval()
    net.conv.weight.requires_grad_(False)
    net(X).sum().backward()
    net.head.register_forward_hook(lambda *_: None)
    return net


def state(net) -> list[bytes]:
    """Everything of it that could have changed, as bytes."""
    told: list[bytes] = []
    for name, part in net.named_modules():
        hooks = [list(part._forward_hooks), list(part._forward_pre_hooks), list(part._backward_hooks)]
        told.append(f"{name} {part.training} {hooks} {sorted(vars(part))}".encode())
    for name, p in net.named_parameters():
        grad = b"none" if p.grad is None else p.grad.numpy().tobytes()
        told += [f"{name} {p.requires_grad}".encode(), p.detach().numpy().tobytes(), grad]
    told += [b.numpy().tobytes() for b in net.buffers()]
    return [*told, repr(net.cache).encode(), torch.get_rng_state().numpy().tobytes()]


def disturb(net) -> None:
    """Everything that should be undone."""
    net.train()
    net(X)  # batch norm counts, dropout draws, the cache grows
    for p in net.parameters():
        p.requires_grad_(True)
        p.grad = None
    net(X).sum().backward()
    net.conv.register_forward_hook(lambda *_: None)
    net.norm.running_mean.fill_(9)
    net.extra = 1
    random.random()
    np.random.rand()  # noqa: NPY002


@pytest.mark.parametrize("fails", [False, True])
def test_everything_is_as_before(fails: bool) -> None:
    net = used()
    before = state(net)
    others = random.getstate(), np.random.get_state()[1].tobytes()  # noqa: NPY002
    try:
        with untouched(net):
            assert not any(part.training for part in net.modules())
            assert not any(p.requires_grad for p in net.parameters())
            disturb(net)
            assert state(net) != before, "sabotage: what is done must show"
            if fails:
                raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    assert (random.getstate(), np.random.get_state()[1].tobytes()) == others  # noqa: NPY002
    assert state(net) == before


def test_without_freezing_gradients_may_flow_and_are_gone_afterwards() -> None:
    net = used()
    before = state(net)
    with untouched(net, freeze=False):
        net(X).sum().backward()
    assert state(net) == before


def boom(*_):
    raise ZeroDivisionError


READERS = {
    "layers": lambda net: layers(net, X),
    "layouts": lambda net: layouts(net, ["conv", "split"], (8, 8)),
}


@pytest.mark.parametrize("reader", READERS)
def test_readers_leave_no_trace(reader: str) -> None:
    net = used()
    before = state(net)
    READERS[reader](net)
    assert state(net) == before


@pytest.mark.parametrize("how", ["tap", "alter", "attention"])
def test_an_exception_in_the_middle_of_a_pass_leaves_no_hook(how: str) -> None:
    net = used().eval()
    net.cache.clear()
    before = state(net)
    net.drop.forward, original = boom, net.drop.forward
    context = {
        "tap": lambda: tap(net, ["conv", "again@1"]),
        "alter": lambda: alter(net, {"conv": lambda y: y}),
        "attention": lambda: attention_weights(net),
    }[how]()
    with pytest.raises(ZeroDivisionError), context:
        net(X)
    del net.drop.forward
    net.cache.clear()
    assert state(net) == before
    assert net.drop.forward == original


def test_layers_are_listed_in_their_order_with_shapes_calls_and_parameters() -> None:
    found = {layer.name: layer for layer in layers(odd(), X, idle=True)}
    assert list(found) == ["conv", "norm", "act", "again", "split", "drop", "head", "spare"]
    assert found["conv"].shape == (2, 4, 8, 8)
    assert found["split"].shapes == ((2, 4, 8, 8), (2, 4, 8, 8))
    assert (found["again"].calls, found["spare"].calls) == (3, 0)
    assert found["conv"].parameters == 4 * 3 * 9 + 4
    assert "did not run" in str(found["spare"])
    assert "spare" not in [layer.name for layer in layers(odd(), X)]
