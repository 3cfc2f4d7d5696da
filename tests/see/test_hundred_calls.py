"""The hundredth call does no more than the first, and leaves nothing behind."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from featurelens import see  # noqa: E402
from fixtures.drawn import drawing  # noqa: E402
from fixtures.small_nets import small_net  # noqa: E402

IMAGE = drawing(3, (32, 32))


def steps(call: Callable[[], object]) -> int:
    """How many functions are entered and left: what a call costs, whatever else the machine does."""
    count = 0

    def one(*_: object) -> None:
        nonlocal count
        count += 1

    sys.setprofile(one)
    try:
        call()
    finally:
        sys.setprofile(None)
    return count


def hundred(call: Callable[[], object], *, calls: int = 100) -> tuple[float, int]:
    """How many times as much the last call does as the first, and tensors left over."""
    call()  # imports, kernels, caches
    done, tensors = [], []
    for i in range(calls):
        if i not in (0, calls - 1):
            call()
            continue
        done.append(steps(call))
        gc.collect()
        tensors.append(sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects()))
    return done[1] / done[0], tensors[1] - tensors[0]


CALLS = {
    "grad-cam": lambda net: see.explain(net, IMAGE, target=1),
    "integrated-gradients": lambda net: see.explain(
        net, IMAGE, method="integrated-gradients", target=1, steps=4, max_steps=4
    ),
    "maximize": lambda net: see.maximize(net, "deep:0-1", size=32, steps=2),
    "feature maps": lambda net: see.feature_maps(net, IMAGE, "deep"),
    "units": lambda net: see.units([IMAGE], net, "deep"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
def test_the_hundredth_call_does_no_more(name: str) -> None:
    net = small_net()
    calls = 100 if name == "grad-cam" else 30  # the others are slow, and what grows has grown by then
    more, left = hundred(lambda: CALLS[name](net), calls=calls)
    assert more < 1.1
    assert left <= 0


def test_sabotage_hooks_that_stay_are_noticed() -> None:
    net = small_net()

    def forgets() -> None:
        see.explain(net, IMAGE, method="saliency", target=1)
        for _ in range(20):
            net.module.deep.register_forward_hook(lambda *_: np.ones(400).sum() and None)

    assert hundred(forgets, calls=20)[0] > 1.1
