"""Reading and altering named layers; plain hooks of the test's own, and hand arithmetic, are the oracle."""

from __future__ import annotations

import threading

import pytest

from featurelens.errors import LayerError

torch = pytest.importorskip("torch")

from featurelens.backbone.tap import alter, tap  # noqa: E402
from fixtures.odd_nets import Pair, odd  # noqa: E402


@pytest.fixture
def net():
    return odd().eval()


@pytest.fixture
def x():
    return torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def plain(net, x, name: str) -> list:
    """What a layer gave at each call, caught by a plain hook."""
    seen: list = []
    handle = net.get_submodule(name).register_forward_hook(lambda _m, _i, out: seen.append(out))
    net(x)
    handle.remove()
    return seen


def test_a_value_is_that_before_the_in_place_layer_behind_it(net, x) -> None:
    wanted = net.norm(net.conv(x))
    with tap(net, ["norm", "act"]) as read:
        net(x)
    assert torch.equal(read["norm"], wanted)
    assert (read["norm"] < 0).any()
    assert torch.equal(read["act"], wanted.relu())


def test_a_reused_layer_gives_all_its_calls(net, x) -> None:
    with tap(net, ["again", "again@0", "again@2"]) as read:
        net(x)
    calls = read.calls("again")
    assert len(calls) == 3
    assert torch.equal(read["again@0"], net.again(net.act(net.norm(net.conv(x)))))
    assert torch.equal(read["again"], calls[2])
    assert torch.equal(read["again@2"], calls[2])
    assert not torch.equal(calls[0], calls[2])
    with tap(net, ["again@7"]) as read:
        net(x)
    with pytest.raises(LayerError, match="ran 3 times; there is no call 7"):
        _ = read["again@7"]


def test_tuples_keep_their_kind_and_the_network_its_output(net, x) -> None:
    wanted = net(x)
    with tap(net, ["split", ""]) as read:
        found = net(x)
    assert isinstance(read["split"], Pair)
    assert torch.equal(read["split"].first, plain(net, x, "split")[0].first)
    assert torch.equal(found, wanted)
    assert torch.equal(read[""], wanted)


def test_values_lie_on_the_path_of_gradients(net, x) -> None:
    with tap(net, ["conv"]) as read:
        score = net(x)[0, 1]
    (through,) = torch.autograd.grad(score, read["conv"])
    small = 1e-3 * torch.randn(read["conv"].shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad(), alter(net, {"conv": lambda y: y + small}):
        moved = net(x)[0, 1]
    assert float((through * small).sum()) == pytest.approx(float(moved - score.detach()), rel=0.05)


def test_require_grad_gives_a_frozen_network_a_start(net, x) -> None:
    net.requires_grad_(False)
    with tap(net, ["again@1"], require_grad=True) as read:
        score = net(x).sum()
    (gradient,) = torch.autograd.grad(score, read["again@1"])
    assert gradient.abs().sum() > 0
    with tap(net, ["again@1"], detach=True) as read:
        net(x)
    assert not read["again@1"].requires_grad


def test_stopping_runs_no_later_layer(net, x) -> None:
    later: list = []
    net.head.register_forward_hook(lambda *_: later.append(1))
    with tap(net, ["again@1"], stop_after=True) as read:
        assert read.run(x) is None
    assert later == []
    assert torch.equal(read["again@1"], plain(net, x, "again")[1])
    assert later == [1]


def test_unknown_layers_list_close_matches(net, x) -> None:
    with (
        pytest.raises(LayerError, match=r"Odd has no layer 'agian'\. Close matches: again"),
        tap(net, ["agian"]),
    ):
        pass
    with pytest.raises(LayerError, match="Close matches: again"), alter(net, {"agian@1": lambda y: y}):
        pass
    with (
        pytest.raises(LayerError, match=r"Its \d+ layers have other names.*layers\(module, sample\)"),
        tap(net, ["zzz"]),
    ):
        pass
    with tap(net, ["spare"]) as read:
        net(x)
    with pytest.raises(LayerError, match="'spare' did not run"):
        _ = read["spare"]
    with pytest.raises(LayerError, match="not tapped; tapped are: spare"):
        _ = read["conv"]
    with (
        pytest.raises(LayerError, match=r"list of layer names, not the single name 'conv'"),
        tap(net, "conv"),
    ):
        pass


def test_an_altered_layer_feeds_the_rest(net, x) -> None:
    with alter(net, {"act": torch.zeros_like}):
        found = net(x)
    assert torch.allclose(found[0], found[1])
    with alter(net, {"again@1": torch.zeros_like}), tap(net, ["again@2"]) as read:
        net(x)
        net(x)
    assert torch.allclose(read["again@2"], net.again(torch.zeros(2, 4, 8, 8)))


def test_a_change_that_returns_nothing_is_an_error(net, x) -> None:
    with pytest.raises(LayerError, match="layer 'act' returned None"), alter(net, {"act": lambda y: None}):
        net(x)


@pytest.mark.parametrize("how", ["tap", "alter"])
def test_no_hook_stays_also_after_an_exception(net, x, how: str) -> None:
    context = tap(net, ["act"]) if how == "tap" else alter(net, {"act": lambda y: y})
    net.head.register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError), context:
        net(x)
    net.head._forward_pre_hooks.clear()
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in net.modules())


def test_another_threads_pass_is_not_heard(net, x) -> None:
    with tap(net, ["conv"]) as read:
        net(x)
        mine = read["conv"].clone()
        thread = threading.Thread(target=net, args=(x + 5,))
        thread.start()
        thread.join()
    assert torch.equal(read["conv"], mine)
