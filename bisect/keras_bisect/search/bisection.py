"""Bisection over a line of builds whose ends differ, with verdicts of any kind. Pure.

The line is a sequence of positions 0 … n-1; the verdicts of both ends are known. A *change* is a
place where the verdict changes: `last` and `first`, with nothing between them but positions that
could not be tested. The search finds the changes that separate the ends:

- It holds intervals whose two ends have different verdicts, `[G . . . . B]`, and asks for positions
  inside one. Who holds the search probes them, and tells.
- A verdict equal to that of one end moves this end. A third verdict splits the interval,
  `[G . D . B]`: then there are (at least) two changes, and each is narrowed. So a failure of
  another kind is never taken for good or for bad.
- `None` is no verdict: its position is stepped around, and the next one asked for lies half way
  between it and an end (neighbours of a broken build are broken, too; git's bisect keeps away from
  them as well).

Invariant: the ends of every interval are testable and differ, and nothing testable was seen between
them.

Several positions can be asked for at once: the one that a single prober would be asked for, and
those that it would be asked for next, whatever the verdicts will be. What turns out not to lie on
the way is kept but not looked at. So the answer never depends on how many probes run at a time.

A position whose verdict costs nothing is asked for before one that costs a probe, wherever it lies,
and one that costs less than others if it lies near the middle (`Cost`).

Public: `Bisection`, `Change`, `Cost`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import Generic, TypeVar

__all__ = ["Bisection", "Change", "Cost"]

V = TypeVar("V")

NEAR = 8
"""A cheap position is preferred if it is no further from the middle than this part of the run."""


class Cost(IntEnum):
    """What the verdict of a position costs."""

    NOTHING = 0
    """It is known already."""
    LITTLE = 1
    """The build is on disk."""
    MUCH = 2


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

    def __init__(
        self, size: int, before: V, after: V, *, costs: Mapping[int, Cost] | None = None
    ) -> None:
        """Start with the verdicts of both ends.

        Args:
            size: length of the line, at least 2.
            before: verdict of position 0.
            after: verdict of position size - 1.
            costs: of the positions that do not cost `MUCH`.

        Raises:
            ValueError: the ends agree, so there is nothing to search for, or the line is too short.
        """
        if size < 2:
            raise ValueError(f"a line of {size} has no two ends")
        if before == after:
            raise ValueError(f"both ends are {before}: there is no change to search for")
        self._size = size
        # Where a single prober would be by now, and everything that was told.
        self._state: tuple[_Interval[V], ...] = (
            _Interval(0, size - 1, before, after, (range(1, size - 1),), costs or {}),
        )
        self._told: dict[int, V | None] = {}

    def tell(self, position: int, verdict: V | None) -> None:
        """The verdict of a position, asked for or not; None if it cannot be tested."""
        if not 0 <= position < self._size:
            raise IndexError(f"position {position} is not on a line of {self._size}")
        self._told[position] = verdict
        while (widest := _widest(self._state)) is not None and widest.step in self._told:
            self._state = _after(self._state, widest, self._told[widest.step])

    def ask(self, k: int = 1) -> list[int]:
        """Up to `k` positions to probe now, the most useful first; none when the search is done."""
        wanted: list[int] = []
        futures = [self._state]
        while futures and len(wanted) < k:
            state = futures.pop(0)
            widest = _widest(state)
            if widest is None:
                continue
            if widest.step in self._told:
                futures.append(_after(state, widest, self._told[widest.step]))
                continue
            if widest.step not in wanted:
                wanted.append(widest.step)
            # Equal to the far end of the interval means one half, equal to the near end the other.
            futures += [_after(state, widest, end) for end in (widest.after, widest.before)]
        return wanted

    def changes(self) -> list[Change[V]]:
        """The changes as far as they are known: exact when nothing more is asked for."""
        return [
            Change(one.last, one.first, one.before, one.after, one.untestable())
            for one in self._state
        ]

    def left(self) -> int:
        """How many more steps it takes, if what is left can be tested and has no third verdict."""
        return sum(one.size.bit_length() for one in self._state)


@dataclass(frozen=True)
class _Interval(Generic[V]):
    """Two positions with different verdicts, and what is not known between them."""

    last: int
    first: int
    before: V
    after: V
    free: tuple[range, ...]
    """Runs of positions that can be asked for; what lies between the runs could not be tested."""
    costs: Mapping[int, Cost] = field(compare=False)

    @cached_property
    def size(self) -> int:
        """How many positions can be asked for."""
        return sum(map(len, self.free))

    def untestable(self) -> tuple[int, ...]:
        """The positions that could not be tested."""
        free = {position for run in self.free for position in run}
        return tuple(p for p in range(self.last + 1, self.first) if p not in free)

    @cached_property
    def step(self) -> int:
        """The position to ask for.

        Broken builds come in runs. So first the two outer runs are halved, which leaves a broken
        one behind in about 2 log n steps wherever it begins and ends; then what is inside.
        """

        def promise(run: range) -> tuple[bool, int]:
            outer = run.start == self.last + 1 or run.stop == self.first
            return outer, len(run)

        best = max(self.free, key=promise)
        middle = best[(len(best) - 1) // 2]

        def worth(position: int) -> tuple[Cost, int]:
            return self.costs[position], abs(position - middle)

        def cheap(position: int) -> bool:
            far = abs(position - middle) > len(best) // NEAR
            return position in best and not (far and self.costs[position] > Cost.NOTHING)

        return min(filter(cheap, self.costs), key=worth, default=middle)

    def told(self, position: int, verdict: V | None) -> tuple[_Interval[V], ...]:
        """What is left of the interval when the verdict of a position inside is known."""
        left = tuple(cut for run in self.free if (cut := range(run.start, min(run.stop, position))))
        right = tuple(
            cut for run in self.free if (cut := range(max(run.start, position + 1), run.stop))
        )
        if verdict is None:
            whole = (self.last, self.first, self.before, self.after)
            return (_Interval(*whole, left + right, self.costs),)
        halves = (
            _Interval(self.last, position, self.before, verdict, left, self.costs),
            _Interval(position, self.first, verdict, self.after, right, self.costs),
        )
        return tuple(half for half in halves if half.before != half.after)


def _widest(state: tuple[_Interval[V], ...]) -> _Interval[V] | None:
    """The interval with the most left to ask for, the first of several; None if nothing is left."""
    widest = max(state, key=lambda one: one.size)
    return widest if widest.size else None


def _after(
    state: tuple[_Interval[V], ...], interval: _Interval[V], verdict: V | None
) -> tuple[_Interval[V], ...]:
    """The state when the verdict of an interval's step is known."""
    index = state.index(interval)
    return state[:index] + interval.told(interval.step, verdict) + state[index + 1 :]
