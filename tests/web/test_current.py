"""Whoever answers a request answers it to its end, also when another has taken over meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from featurelens.web.current import Current
from fixtures.served import wait_for


@dataclass(eq=False)
class Told:
    """Stands for a service, or its jobs: remembers that it was closed."""

    closed: bool = False
    jobs: Any = field(default=None)

    def close(self) -> None:
        assert not self.closed, "closed twice"
        self.closed = True


def service() -> Any:
    return cast(Any, Told(jobs=Told()))


def test_one_that_was_replaced_is_closed_after_its_last_request():
    """Sabotage: closed at the switch, it is closed under those who are being answered."""
    old, new = service(), service()
    current = Current(old)
    first, second = current.borrow(), current.borrow()
    assert current.switch(new)
    assert current.service is new
    assert current.borrow() is new
    assert old.jobs.closed, "who watches a job holds it: its jobs end"
    assert not old.closed
    current.give_back(first)
    assert not old.closed
    current.give_back(second)
    wait_for(lambda: old.closed)
    current.give_back(new)
    assert not new.closed, "it is the current one"


def test_one_that_nobody_uses_is_closed_at_once():
    old, new = service(), service()
    current = Current(old)
    current.switch(new)
    assert old.closed
    assert current.switches == 1


def test_one_that_comes_after_the_end_is_closed_and_not_served():
    last, late = service(), service()
    current = Current(last)
    current.close()
    assert not current.switch(late)
    assert late.closed
    assert current.service is last
