"""The queue: nothing is lost, mixed up or kept waiting, and what waits together is worked on together."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from featurelens.web.batcher import Batcher


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
