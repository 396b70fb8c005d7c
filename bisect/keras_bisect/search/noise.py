"""Bisection of a line whose verdicts are true only in most runs. Pure.

The search holds, for every place on the line, how likely the change is to be there (`Posterior`),
and asks for the run that is expected to tell most. A run can be wrong, so a position is asked for
as often as it takes, and no run rules anything out for good.

The posterior believes in one change, and in one rate on each side of it. A history need not be like
that, and a certain answer that is wrong is the worst answer. So:

- An answer is *decided* only when its two neighbours hold it up by their own runs: each belongs to
  its side, and the two have not one rate in common (`_Pair`). Those runs are asked for.
- Where two positions belong, by their own runs, to the sides in the wrong order, the line has more
  than one change. The search goes on in a part of it whose ends differ, `[old … new]`, which holds
  a change whatever else there is; what was told outside this part is no longer looked at.

Public: `Belief`, `Suspect`; `Counts` and `Sides` of `posterior.py`, which it speaks in.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Set
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

from keras_bisect.search.bisection import Change
from keras_bisect.search.candidates import candidates
from keras_bisect.search.posterior import Counts, Posterior, Sides

__all__ = ["Belief", "Counts", "Sides", "Suspect"]

SILENT = 2
"""Runs in a row that told nothing, after which a position is not asked for again."""

STRICT = 10
"""How many times less doubt there must be to narrow the line than to give an answer."""


class Suspect(NamedTuple):
    """A place where the change can be: two positions, and nothing testable between them."""

    last: int
    first: int
    posterior: float
    """How probable it is, if the line has one change."""


class Belief:
    """The state of one search under noise. Ask for runs, tell what they showed.

    >>> line = "ooooonnn"
    >>> search = Belief(len(line), Sides(Counts(before=5), Counts(after=5)))
    >>> while wanted := search.ask():
    ...     for position in wanted:
    ...         search.tell(position, line[position] == "n")
    >>> search.decided, search.change().last, search.change().first
    (True, 4, 5)
    """

    def __init__(
        self, size: int, sides: Sides, confidence: float = 0.99, limit: int | None = None
    ) -> None:
        """Start with the runs of builds whose side is known, such as those of both ends.

        Runs that were made of other positions can be told before anything is asked for.

        Args:
            size: length of the line, at least 2; position 0 is of the old side, the last of the new
                one.
            sides: runs of both ends, or of builds like them; not to be told again.
            confidence: how probable an answer must be.
            limit: how many runs may be told before the search ends without an answer; by default
                60, and 20 for each halving of the line, which is about twice what a script takes
                that fails in one of three runs.

        Raises:
            ValueError: the line is too short, or the confidence is none.
        """
        if size < 2:
            raise ValueError(f"a line of {size} has no two ends")
        if not 0.5 < confidence < 1:
            raise ValueError(f"a confidence lies between 0.5 and 1, not at {confidence}")
        self.size = size
        self.limit = 60 + math.ceil(20 * math.log2(size)) if limit is None else limit
        self.counts: dict[int, Counts] = {}
        """Position -> what its runs showed."""
        self.runs = 0
        """How many runs were told, also those that told nothing."""
        self.excluded: set[int] = set()
        """Positions that are not asked for, since they cannot be tested."""
        self._sides = sides
        self._wanted = confidence
        self._low, self._high = 0, size - 1
        self._silent: dict[int, int] = {}
        self._known: _Known | None = None

    # -- telling -----------------------------------------------------------------------------

    def tell(self, position: int, after: bool | None) -> None:
        """What a run showed, asked for or not: the verdict `after`, or `before`, or neither."""
        self._check(position)
        self.runs += 1
        if after is None:
            self._silent[position] = self._silent.get(position, 0) + 1
            if self._silent[position] >= SILENT:
                self.exclude(position)
            return
        self._silent.pop(position, None)
        self.counts[position] = self.counts.get(position, Counts()) + Counts(not after, after)
        self._known = None
        self._narrow()

    def exclude(self, position: int) -> None:
        """A position that cannot be tested: it is not asked for. This is no run."""
        self._check(position)
        self.excluded.add(position)
        self._known = None

    # -- asking ------------------------------------------------------------------------------

    def ask(self, k: int = 1) -> list[int]:
        """Up to `k` runs to make now, the most useful first; none when the search is done.

        A position can come several times, and again later: each is a run of its own.
        """
        k = min(k, self.limit - self.runs)
        if k < 1 or self.decided:
            return []
        known = self._state()
        if known.pair.mass >= self._wanted:
            return self._confirm(known.pair, k)
        return [position for position, _ in self._best(known.posterior, k)]

    # -- answers -----------------------------------------------------------------------------

    @property
    def decided(self) -> bool:
        """Whether there is an answer, as probable as was wanted and held up by both neighbours."""
        return self._state().pair.holds(self._wanted)

    @property
    def confidence(self) -> float:
        """How probable `change()` is."""
        if self.decided:
            return self._state().pair.confidence
        change = self.change()
        return self._state().posterior.mass(change.last, change.first)

    def change(self) -> Change[bool]:
        """The change; if it is not decided, the smallest range that it lies in with confidence.

        `between` holds the positions that could not be tested, and those of the range.
        """
        pair = self._state().pair
        last, first = (pair.last, pair.first) if self.decided else self._range()
        return Change(last, first, False, True, tuple(range(last + 1, first)))

    def changes(self) -> list[Change[bool]]:
        """The same as a list, as other searches give it."""
        return [self.change()]

    def suspects(self) -> list[Suspect]:
        """Every place where the change can be, the most probable first."""
        return sorted(self._places(), key=lambda place: -place.posterior)

    def left(self) -> int:
        """About how many more runs it takes; 0 when the search is done."""
        most = self.limit - self.runs
        if most < 1 or self.decided:
            return 0
        known = self._state()
        if known.pair.mass >= self._wanted:
            return len(self._confirm(known.pair, most))
        [(_, gain)] = self._best(known.posterior, 1)
        # To be sure of the answer costs some bits beyond those that point at it.
        bits = known.posterior.entropy() - math.log2(1 - self._wanted) / 2
        return max(1, min(most, math.ceil(bits / max(gain, 1e-6))))

    # -- what is known -----------------------------------------------------------------------

    def _state(self) -> _Known:
        if self._known is None:
            posterior = Posterior(self.counts, self._low, self._high, self._sides)
            self._known = _Known(posterior, self._pair(posterior))
        return self._known

    def _pair(self, posterior: Posterior) -> _Pair:
        """The neighbours with half of the probability on either side: only they can hold most."""
        middle = posterior.quantile(0.5)
        last, first = self._askable(middle - 1, -1), self._askable(middle, +1)
        known = posterior.sides[bisect_left(posterior.edges, last + 1) - 1]
        own = Sides(self._own(last), self._own(first))
        return _Pair(
            last,
            first,
            posterior.mass(last, first),
            own,
            known,
            known_old=last == 0,
            known_new=first == self.size - 1,
        )

    def _own(self, position: int) -> Counts:
        """The runs of one position; those of the ends were told before the search."""
        own = self.counts.get(position, Counts())
        if position == 0:
            return own + self._sides.old
        return own + self._sides.new if position == self.size - 1 else own

    def _narrow(self) -> None:
        """Go on in a part of the line if it has more than one change for certain."""
        doubt = (1 - self._wanted) / STRICT
        leans = {
            position: self._sides.belongs_new(counts)
            for position, counts in self.counts.items()
            if self._low < position < self._high
        }
        new = min((p for p, lean in leans.items() if lean >= 1 - doubt), default=self._high)
        old = max((p for p, lean in leans.items() if lean <= doubt), default=self._low)
        if new > old:
            return
        posterior = self._state().posterior
        if posterior.mass(self._low, new) >= posterior.mass(old, self._high):
            self._high = new
        else:
            self._low = old
        self._known = None

    def _best(self, posterior: Posterior, k: int) -> list[tuple[int, float]]:
        return posterior.best(candidates(posterior, self.counts.keys(), self.excluded), k)

    def _confirm(self, pair: _Pair, k: int) -> list[int]:
        """Runs of the two neighbours, as many as decide the answer if all of them hold it up."""
        wanted: list[int] = []
        while len(wanted) < k and not (wanted and pair.holds(self._wanted)):
            position = pair.weaker(self.excluded)
            if position is None:
                break
            wanted.append(position)
            pair = pair.held_up(position)
        return wanted

    # -- places ------------------------------------------------------------------------------

    def _places(self) -> Iterator[Suspect]:
        """Neighbours that can be tested, in order, and how probable the change is between them."""
        posterior = self._state().posterior
        out = self.excluded - {self._low, self._high}
        free = [p for p in range(self._low, self._high + 1) if p not in out]
        for last, first in pairwise(free):
            yield Suspect(last, first, posterior.mass(last, first))

    def _range(self) -> tuple[int, int]:
        """The ends of the smallest run of places that together are probable enough."""
        places = list(self._places())
        best, mass, start = (self._low, self._high), 0.0, 0
        for place in places:
            mass += place.posterior
            while mass - places[start].posterior >= self._wanted:
                mass -= places[start].posterior
                start += 1
            if mass >= self._wanted and place.first - places[start].last < best[1] - best[0]:
                best = places[start].last, place.first
        return best

    def _askable(self, position: int, step: int) -> int:
        """The nearest position in a direction that can be asked for, or is an end."""
        while self._low < position < self._high and position in self.excluded:
            position += step
        return position

    def _check(self, position: int) -> None:
        if not 0 <= position < self.size:
            raise IndexError(f"position {position} is not on a line of {self.size}")


@dataclass(frozen=True)
class _Pair:
    """The neighbours that the answer would be, and what holds it up."""

    last: int
    first: int
    mass: float
    """The probability of the change between them, by all runs."""
    own: Sides
    """The runs of either."""
    all: Sides
    """The runs of either side, these among them."""
    known_old: bool
    """Whether `last` is the end of the line, and needs no proof."""
    known_new: bool

    @property
    def confidence(self) -> float:
        """The probability of the answer, by the weakest of the reasons for it."""
        own, rest = self.own, self.all - self.own
        # Each is judged by all runs but its own, those of its neighbour among them.
        old = 0.0 if self.known_old else Sides(rest.old, self.all.new).belongs_new(own.old)
        new = 1.0 if self.known_new else Sides(self.all.old, rest.new).belongs_new(own.new)
        return min(self.mass, 1 - old, new, rest.apart(own.old, own.new))

    def holds(self, confidence: float) -> bool:
        return self.mass >= confidence and self.confidence >= confidence

    def weaker(self, excluded: Set[int]) -> int | None:
        """The neighbour to run once more: of those that can be, the one with fewer runs."""
        choice = [(self.own.new.runs, self.first), (self.own.old.runs, self.last)]
        return min((one for one in choice if one[1] not in excluded), default=(0, None))[1]

    def held_up(self, position: int) -> _Pair:
        """What it would be after a run that is as the answer says."""
        more = Sides(old=Counts(before=1)) if position == self.last else Sides(new=Counts(after=1))
        return replace(self, own=self.own + more, all=self.all + more)


@dataclass(frozen=True)
class _Known:
    """What all runs say; worked out when it is asked for, once for each run told."""

    posterior: Posterior
    pair: _Pair
