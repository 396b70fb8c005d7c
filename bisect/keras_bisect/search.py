"""Bisection over a line of builds whose ends differ, with verdicts of any kind. Pure: it asks, somebody else probes.

The line is a sequence of positions 0 … n-1; the verdicts of both ends are known. A *change* is a place where the
verdict changes: `last` and `first`, with nothing between them but positions that could not be tested. The search finds
the changes that separate the ends:

- It holds intervals whose two ends have different verdicts, `[G . . . . B]`, and asks for positions inside one.
- A verdict equal to that of one end moves this end. A third verdict splits the interval, `[G . D . B]`: then there are
  (at least) two changes, and each is narrowed. So a failure of another kind is never taken for good or for bad.
- `None` is no verdict: its position is stepped around, and the next one asked for lies away from it, further with each
  (neighbours of a broken build are broken, too; git's bisect does the same).

Invariant: every interval's ends were asked for, are testable and different, and nothing testable was seen between them.

Several positions can be asked for at once: the one that a single prober would be asked for, and those that it would be
asked for next, whatever the verdicts will be. What turns out not to lie on the way is kept but not looked at. So the
answer never depends on how many probes run at a time, on any line.

Public: `Bisection`, `Change`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Bisection", "Change"]

V = TypeVar("V")


@dataclass(frozen=True)
class Change(Generic[V]):
    """Where the verdict changes."""

    last: int
    """The last position before it."""
    first: int
    """The first position after it."""
    before: V
    after: V
    between: tuple[int, ...] = ()
    """Positions that could not be tested; empty where the answer is exact."""


class Bisection(Generic[V]):
    """The state of one search. Ask for positions, tell their verdicts, until nothing is asked for.

    >>> line = "GGGGGBBB"
    >>> search = Bisection(len(line), "G", "B")
    >>> while wanted := search.ask():
    ...     for position in wanted:
    ...         search.tell(position, line[position])
    >>> [(change.last, change.first) for change in search.changes()]
    [(4, 5)]
    """

    def __init__(self, size: int, before: V, after: V) -> None:
        """Start with the verdicts of both ends.

        Args:
            size: length of the line, at least 2.
            before: verdict of position 0.
            after: verdict of position size - 1.

        Raises:
            ValueError: the ends agree, so there is nothing to search for, or the line is too short.
        """
        if size < 2:
            raise ValueError(f"a line of {size} has no two ends")
        if before == after:
            raise ValueError(f"both ends are {before}: there is no change to search for")
        self._size = size
        # What a single prober would have asked for by now, and everything that was told.
        self._path: dict[int, V | None] = {0: before, size - 1: after}
        self._told: dict[int, V | None] = {}

    def tell(self, position: int, verdict: V | None) -> None:
        """The verdict of a position, asked for or not; None if it cannot be tested."""
        if not 0 <= position < self._size:
            raise IndexError(f"position {position} is not on a line of {self._size}")
        self._told[position] = verdict
        while (step := _next(self._path)) in self._told and step is not None:
            self._path[step] = self._told[step]

    def ask(self, k: int = 1) -> list[int]:
        """Up to `k` positions to probe now, the most useful first; none when the search is done."""
        wanted: list[int] = []
        futures = [self._path]
        while futures and len(wanted) < k:
            path = futures.pop(0)
            step = _next(path)
            if step is None:
                continue
            if step in self._told:
                futures.append({**path, step: self._told[step]})
                continue
            if step not in wanted:
                wanted.append(step)
            last = max(p for p in path if p < step and path[p] is not None)
            first = min(p for p in path if p > step and path[p] is not None)
            # Equal to the far end of an interval means one half, equal to the near end the other.
            futures += [{**path, step: path[first]}, {**path, step: path[last]}]
        return wanted

    def changes(self) -> list[Change[V]]:
        """The changes as far as they are known: exact when nothing more is asked for."""
        found = []
        for last, first in _pairs(self._path):
            before, after = self._path[last], self._path[first]
            assert before is not None and after is not None  # noqa: S101, PT018 - the invariant
            between = tuple(p for p in range(last + 1, first) if p in self._path)
            found.append(Change(last, first, before, after, between))
        return found

    def left(self) -> int:
        """How many more steps it takes, if all that is left can be tested and has one of two verdicts."""
        return sum((len(_open(self._path, *pair))).bit_length() for pair in _pairs(self._path))


def _pairs(path: Mapping[int, object]) -> list[tuple[int, int]]:
    """Neighbouring tested positions with different verdicts."""
    tested = sorted(p for p, verdict in path.items() if verdict is not None)
    pairs = zip(tested, tested[1:], strict=False)
    return [(a, b) for a, b in pairs if path[a] != path[b]]


def _open(path: Mapping[int, object], last: int, first: int) -> list[int]:
    return [p for p in range(last + 1, first) if p not in path]


def _next(path: Mapping[int, object]) -> int | None:
    """The position to ask for: the middle of the widest interval, away from what could not be tested."""
    best: tuple[int, int, list[int]] | None = None
    for last, first in _pairs(path):
        free = _open(path, last, first)
        if free and (best is None or len(free) > len(best[2])):
            best = last, first, free
    if best is None:
        return None
    last, first, free = best
    broken = [p for p in range(last + 1, first) if p in path]
    middle = (last + first) // 2
    # A run of broken builds is left behind in about log n steps: each one met doubles the distance kept.
    reach = min((first - last) // 4, (1 << len(broken)) - 1)

    def cost(position: int) -> tuple[int, int, int]:
        near = min((abs(position - b) for b in broken), default=reach)
        return max(0, reach - near), abs(position - middle), position

    return min(free, key=cost)
