"""Images that belong together, parted into groups in which each shows the picture of the first."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence

Alike = Callable[[int, int], bool]


class Ties:
    """Which images belong together so far, and the pairs that say so: those found alike, and those not compared since."""

    def __init__(self, ids: Iterable[int]) -> None:
        self._parent = {one: one for one in ids}
        self._tied: dict[int, list[int]] = defaultdict(list)

    @property
    def all(self) -> list[int]:
        """Every image."""
        return list(self._parent)

    def top(self, one: int) -> int:
        """The image that stands for all that belong to this one."""
        while self._parent[one] != one:
            self._parent[one] = one = self._parent[self._parent[one]]
        return one

    def tie(self, one: int, other: int) -> None:
        """From now on these two belong together."""
        self._tied[one].append(other)
        self._tied[other].append(one)
        first, second = sorted((self.top(one), self.top(other)))
        self._parent[second] = first

    def groups(self) -> list[list[int]]:
        """The images that belong together, two or more."""
        together: dict[int, list[int]] = defaultdict(list)
        for one in self._parent:
            together[self.top(one)].append(one)
        return [members for members in together.values() if len(members) > 1]

    def near(self, one: int) -> Sequence[int]:
        """The images tied to this one."""
        return self._tied.get(one, ())


def stars(ids: Sequence[int], ties: Ties, alike: Alike, *, there: set[int]) -> list[list[int]]:
    """Groups of images of `ids`, those to keep first in it, that are `alike` the first of their group; two or more.

    One wrong pair joins no two groups. A group grows along the ties from its first image on, one step beyond what is
    alike, so that a long chain (frames of a film) costs as much for each image as a short one. Only those `there` count.
    """
    found, left = [], {one for one in ids if one in there}
    for first in ids:
        if first in left:
            star = _star(first, left, ties, alike)
            left.difference_update(star)
            if len(star) > 1:
                found.append(star)
    return found


def _star(first: int, left: set[int], ties: Ties, alike: Alike) -> list[int]:
    star, seen, waiting = [first], {first}, deque([(first, True)])
    while waiting:
        one, inside = waiting.popleft()
        for other in ties.near(one):
            if other in seen:
                continue
            seen.add(other)
            good = other in left and alike(first, other)
            if good:
                star.append(other)
            if good or inside:
                waiting.append((other, good))
    return star
