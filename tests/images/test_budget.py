"""The memory budget of all decoding threads together."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from featurelens.images.budget import MemoryBudget


def test_the_sum_never_exceeds_the_capacity_and_all_get_through() -> None:
    budget, lock = MemoryBudget(100), threading.Lock()
    held = most = 0

    def use(size: int) -> None:
        nonlocal held, most
        with budget.hold(size):
            with lock:
                held += min(size, 100)
                most = max(most, held)
            time.sleep(0.0005)
            with lock:
                held -= min(size, 100)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(use, [10, 60, 30, 100, 5, 250, 45] * 20))
    assert held == 0
    assert 60 <= most <= 100


def test_a_large_one_is_not_kept_out_by_small_ones() -> None:
    budget, order = MemoryBudget(10), []

    def use(name: str, size: int) -> None:
        with budget.hold(size):
            order.append(name)

    with budget.hold(1):
        large = threading.Thread(target=use, args=("large", 10))
        large.start()
        time.sleep(0.05)
        small = threading.Thread(target=use, args=("small", 1))
        small.start()
        time.sleep(0.05)
        assert order == []
    large.join(5)
    small.join(5)
    assert order == ["large", "small"]


def test_what_was_held_comes_back_after_an_exception() -> None:
    budget = MemoryBudget(10)
    for _ in range(3):
        with pytest.raises(KeyError), budget.hold(10):
            raise KeyError
