"""The queue: nothing is lost, mixed up or kept waiting, and what waits together is worked on together."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from featurelens.web.batcher import Batcher, Full


def test_what_waits_is_worked_on_together_and_everyone_gets_his_own():
    seen = []

    def work(key, items):
        seen.append(len(items))
        time.sleep(0.02)
        return [(key, item) for item in items]

    queue = Batcher(work, most=16, name="test")
    with ThreadPoolExecutor(32) as pool:
        found = list(pool.map(lambda i: queue.submit(i % 2, i).result(10), range(128)))
    queue.close()
    assert found == [(i % 2, i) for i in range(128)]
    assert sum(seen) == 128
    assert max(seen) <= 16
    assert len(seen) < 64
    assert (queue.batches, queue.items) == (len(seen), 128)


def test_a_failure_reaches_those_of_its_batch_only():
    def work(key, items):
        if key == "bad":
            raise ValueError("no")
        return items

    queue = Batcher(work, most=4, name="test")
    bad, good = queue.submit("bad", 1), queue.submit("good", 2)
    with pytest.raises(ValueError, match="no"):
        bad.result(10)
    assert good.result(10) == 2
    queue.close()


def test_closing_works_off_what_waits_and_takes_no_more():
    hold = threading.Event()
    queue = Batcher(lambda key, items: hold.wait(10) and items, most=1, name="test")
    waiting = [queue.submit(None, i) for i in range(3)]
    closing = threading.Thread(target=queue.close)
    closing.start()
    hold.set()
    closing.join(10)
    assert [future.result(1) for future in waiting] == [0, 1, 2]
    with pytest.raises(RuntimeError, match="closed"):
        queue.submit(None, 4)


def test_one_that_was_given_up_is_not_worked_on():
    hold, seen = threading.Event(), []

    def work(key, items):
        hold.wait(10)
        seen.extend(items)
        return items

    queue = Batcher(work, most=1, name="test")
    first, second, third = (queue.submit(None, i) for i in range(3))
    while not first.running():
        time.sleep(0.001)
    assert second.cancel()
    hold.set()
    assert third.result(10) == 2
    queue.close()
    assert seen == [0, 2]


def test_a_batch_is_as_large_as_takes_the_budget():
    """Sabotage: a queue that knows no budget takes all forty at once."""
    seen, hold = [], threading.Event()

    def work(key, items):
        seen.append(len(items))
        time.sleep(0.02 * len(items))
        if len(seen) == 3:
            hold.wait(10)
        return items

    queue = Batcher(work, most=64, budget_s=0.1, name="test")
    for one in range(3):  # so that it knows what an item takes, and then holds still
        waiting = [queue.submit(None, one)]
        while one < 2 and not waiting[0].done():
            time.sleep(0.001)
    waiting = [queue.submit(None, i) for i in range(40)]
    hold.set()
    assert [future.result(20) for future in waiting] == list(range(40))
    assert max(seen[3:-1]) <= 6, seen
    assert max(seen[3:-1]) >= 2, seen
    queue.close()


def test_a_full_queue_says_so():
    hold = threading.Event()
    queue = Batcher(lambda key, items: hold.wait(10) and items, most=1, room=2, name="test")
    first = queue.submit(None, 0)
    while not first.running():
        time.sleep(0.001)
    rest = [queue.submit(None, i) for i in (1, 2)]
    with pytest.raises(Full):
        queue.submit(None, 3)
    hold.set()
    assert [future.result(10) for future in rest] == [1, 2]
    queue.close()


def test_it_counts_sizes_and_waits():
    queue = Batcher(lambda key, items: items, most=4, name="test")
    for i in range(5):
        queue.submit(None, i).result(10)
    queue.close()
    assert queue.sizes.count == queue.waits.count == queue.works.count == 5
    assert queue.sizes.sum == 5
