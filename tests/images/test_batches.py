"""Look-ahead batches: order, bounds, failures, and an end that is prompt and clean."""

from __future__ import annotations

import threading
import time
import tracemalloc
from collections.abc import Iterator
from itertools import count, islice

import numpy as np
import pytest

from featurelens.errors import ImageError, InvalidInput
from featurelens.images.batches import in_batches

OPTIONS = {"shape": (4, 5), "batch_size": 4, "workers": 3, "streams": 2}


def load(item: int) -> tuple[np.ndarray, str]:
    return np.full((4, 5, 3), item % 256, np.uint8), f"meta {item}"


def first_values(pixels: np.ndarray) -> list[int]:
    return pixels[:, 0, 0, 0].tolist()


def workers_alive() -> int:
    return sum(thread.name.startswith("featurelens-batch") for thread in threading.enumerate())


@pytest.mark.parametrize("total", [0, 1, 4, 5, 101])
@pytest.mark.parametrize("workers", [1, 3])
def test_items_metas_and_results_correspond_and_keep_their_order(total: int, workers: int) -> None:
    options = OPTIONS | {"workers": workers}
    batches = list(in_batches(range(total), load, first_values, **options))
    assert [len(b.items) for b in batches] == [4] * (total // 4) + [total % 4] * (total % 4 > 0)
    assert [i for b in batches for i in b.items] == list(range(total))
    for batch in batches:
        assert batch.metas == [f"meta {i}" for i in batch.items]
        assert batch.result == batch.items
        assert batch.failures == []


def test_order_holds_when_later_chunks_are_faster() -> None:
    def slow_first(item: int) -> tuple[np.ndarray, str]:
        time.sleep(0.01 if item < 8 else 0)
        return load(item)

    batches = in_batches(range(40), slow_first, first_values, **OPTIONS)
    assert [i for b in batches for i in b.items] == list(range(40))


def test_failures_leave_no_gap() -> None:
    def picky(item: int) -> tuple[np.ndarray, str]:
        if item % 3 == 0 or 8 <= item < 12:
            raise ImageError(f"no {item}")
        return load(item)

    batches = list(in_batches(range(14), picky, first_values, **OPTIONS))
    assert [b.result for b in batches] == [[1, 2], [4, 5, 7], None, [13]]
    assert [[i for i, _ in b.failures] for b in batches] == [[0, 3], [6], [8, 9, 10, 11], [12]]
    assert batches[0].failures[1][1].reason == "no 3"


def test_the_look_ahead_is_bounded() -> None:
    """An endless source, a consumer that dawdles: at most 2 x workers chunks are drawn and not yet consumed."""
    drawn = 0

    def source() -> Iterator[int]:
        nonlocal drawn
        while True:
            drawn += 1
            yield drawn

    options = OPTIONS | {"workers": 2, "batch_size": 3}
    batches = in_batches(source(), load, first_values, **options)
    assert drawn == 0  # nothing before the first batch is asked for
    for consumed in range(1, 30):
        next(batches)
        time.sleep(0.002)
        assert drawn - 3 * consumed <= 2 * 2 * 3
    batches.close()
    assert workers_alive() == 0


def test_memory_does_not_grow_with_the_number_of_items() -> None:
    def peak(total: int) -> int:
        tracemalloc.start()
        options = {"shape": (64, 64), "batch_size": 8, "workers": 2, "streams": 2}
        blank = np.zeros((64, 64, 3), np.uint8)
        for _ in in_batches(range(total), lambda item: (blank, item), len, **options):
            pass
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    one_batch = 8 * 64 * 64 * 3
    assert peak(4000) < peak(400) + 5 * one_batch, "as many batches as wait at once, not 450 more"


def test_at_most_streams_threads_work_at_once_while_others_load() -> None:
    working, most, lock = 0, 0, threading.Lock()
    loading_meanwhile = threading.Event()

    def work(pixels: np.ndarray) -> int:
        nonlocal working, most
        with lock:
            working += 1
            most = max(most, working)
        loading_meanwhile.clear()
        loading_meanwhile.wait(0.05)
        with lock:
            working -= 1
        return len(pixels)

    def noticed(item: int) -> tuple[np.ndarray, str]:
        loading_meanwhile.set()
        return load(item)

    total = sum(b.result or 0 for b in in_batches(range(60), noticed, work, **OPTIONS | {"streams": 1}))
    assert (total, most) == (60, 1)


def test_each_batch_has_its_own_pixels() -> None:
    kept = [b.result for b in in_batches(range(40), load, lambda pixels: pixels, **OPTIONS)]
    assert [first_values(pixels) for pixels in kept if pixels is not None] == [
        list(range(i, i + 4)) for i in range(0, 40, 4)
    ]


@pytest.mark.parametrize("where", ["load", "work", "items"])
def test_an_exception_comes_after_the_batches_before_it_and_stops_the_threads(where: str) -> None:
    def source() -> Iterator[int]:
        for i in range(1000):
            if where == "items" and i == 21:
                raise KeyError("21")
            yield i

    def fragile(item: int) -> tuple[np.ndarray, str]:
        if where == "load" and item == 21:
            raise KeyError("21")
        return load(item)

    def work(pixels: np.ndarray) -> list[int]:
        if where == "work" and 21 in first_values(pixels):
            raise KeyError("21")
        return first_values(pixels)

    seen: list[int] = []
    batches = in_batches(source(), fragile, work, **OPTIONS)
    with pytest.raises(KeyError, match="21"):
        seen.extend(item for batch in batches for item in batch.items)
    assert seen == list(range(len(seen)))
    assert len(seen) == 20 or (where == "items" and len(seen) <= 20)
    assert workers_alive() == 0


def test_closing_early_stops_promptly_in_the_middle_of_a_chunk() -> None:
    loaded = 0

    def slow(item: int) -> tuple[np.ndarray, str]:
        nonlocal loaded
        loaded += 1
        time.sleep(0.01)
        return load(item)

    batches = in_batches(count(), slow, len, shape=(4, 5), batch_size=100, workers=2, streams=2)
    next(batches)
    started, before = time.perf_counter(), loaded
    batches.close()
    assert time.perf_counter() - started < 0.5  # the chunks under way would take a second more
    assert loaded - before <= 4
    assert workers_alive() == 0


def test_an_interrupt_in_the_consumer_stops_the_threads() -> None:
    def consume() -> None:
        for _ in in_batches(count(), load, len, **OPTIONS):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        consume()
    assert workers_alive() == 0


def test_wrong_sizes_are_refused_at_once() -> None:
    for name in ("batch_size", "workers", "streams"):
        with pytest.raises(InvalidInput, match=f"{name} is 0"):
            in_batches([], load, len, **OPTIONS | {name: 0})
    with pytest.raises(InvalidInput, match="shape"):
        list(islice(in_batches([1], load, len, **OPTIONS | {"shape": (5, 4)}), 1))
