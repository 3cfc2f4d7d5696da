"""The hundredth call is no slower than the first, and leaves nothing behind."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from featurelens import see  # noqa: E402
from fixtures.drawn import drawing  # noqa: E402
from fixtures.small_nets import small_net  # noqa: E402

IMAGE = drawing(3, (32, 32))


def hundred(call: Callable[[], object]) -> tuple[float, int]:
    """How many times as long the last calls take as the first (the quickest of 15 each), and tensors left over."""
    call()  # imports, kernels, caches
    seconds, tensors = [], []
    for i in range(100):
        started = time.thread_time()
        call()
        seconds.append(time.thread_time() - started)
        if i in (0, 99):
            gc.collect()
            tensors.append(sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects()))
    return min(seconds[-15:]) / min(seconds[:15]), tensors[1] - tensors[0]


CALLS = {
    "grad-cam": lambda net: see.explain(net, IMAGE, target=1),
    "integrated-gradients": lambda net: see.explain(
        net, IMAGE, method="integrated-gradients", target=1, steps=4, max_steps=4
    ),
    "maximize": lambda net: see.maximize(net, "deep:0-1", size=32, steps=2),
    "feature maps": lambda net: see.feature_maps(net, IMAGE, "deep"),
    "units": lambda net: see.units([IMAGE], net, "deep"),
}


SLOW = (
    "maximize",
    "feature maps",
    "units",
)  # every call lays hooks and looks at layouts: seconds for a hundred


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in CALLS]
)
def test_the_hundredth_call_is_no_slower(name: str) -> None:
    net = small_net()
    slower, left = hundred(lambda: CALLS[name](net))
    assert slower < 1.5
    assert left <= 0


def test_sabotage_hooks_that_stay_are_noticed() -> None:
    net = small_net()

    def forgets() -> None:
        see.explain(net, IMAGE, method="saliency", target=1)
        for _ in range(20):
            net.module.deep.register_forward_hook(lambda *_: np.ones(400).sum() and None)

    assert hundred(forgets)[0] > 1.5
