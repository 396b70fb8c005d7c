"""What runs say about where a change is, when a script fails at random. Pure.

Each side of a change has a *rate*: how often a build of this side shows the verdict `after`. A good
side that never fails has the rate 0, a race that shows in every third run has 1/3, and a flake
unrelated to the change lifts the old side above 0. No rate is known, so each is integrated out: for
a Beta prior, the probability of counts has a closed form (Beta-binomial), and runs of builds whose
side is known (calibration) sharpen it.

The priors are weak, Beta(1/2, 1) for the old side and Beta(1, 1/2) for the new one, each worth one
and a half runs. 1/2 is Jeffreys': most sides never flake, and the prior should not mind. 1 is flat:
a new side may show the bug rarely, but one that never shows it is not new. Swapping the verdicts
swaps the priors, so a lost bug is found as a new one is.

Public: `Counts`, `Sides`, `Posterior`.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

__all__ = ["Counts", "Posterior", "Sides"]

Prior = tuple[float, float]
"""The two parameters of a Beta distribution of a rate: runs as if seen `after`, and `before`."""

OLD: Prior = (0.5, 1.0)
NEW: Prior = (1.0, 0.5)
ANY: Prior = (0.5, 0.5)
"""A rate of which nothing is known, not even its side."""

SAME = 0.9
"""How likely two neighbours are held to share one rate, before their runs are looked at.

High, since neighbours are looked at because their runs happen to look like a change: on a line
where a flake gets worse by and by, luck makes such a pair somewhere. It costs two runs of each."""

BRANCHES = 16
"""How many outcomes of runs in flight are thought through; the unlikely ones are not."""


@dataclass(frozen=True)
class Counts:
    """How many runs showed either verdict."""

    before: int = 0
    after: int = 0

    @property
    def runs(self) -> int:
        """How many runs said something."""
        return self.before + self.after

    def __add__(self, other: Counts) -> Counts:
        """The runs of both."""
        return Counts(self.before + other.before, self.after + other.after)

    def __sub__(self, other: Counts) -> Counts:
        """The runs without those of another."""
        return Counts(self.before - other.before, self.after - other.after)


@dataclass(frozen=True)
class Sides:
    """What runs of builds showed whose side is known."""

    old: Counts = Counts()
    new: Counts = Counts()

    def __add__(self, other: Sides) -> Sides:
        """The runs of both."""
        return Sides(self.old + other.old, self.new + other.new)

    def __sub__(self, other: Sides) -> Sides:
        """The runs without those of another."""
        return Sides(self.old - other.old, self.new - other.new)

    def belongs_new(self, counts: Counts) -> float:
        """The probability that a build with these runs is of the new side; 1/2 without any.

        >>> sides = Sides(Counts(before=10), Counts(before=5, after=5))
        >>> sides.belongs_new(Counts(before=1, after=2)) > 0.9
        True
        """
        return _logistic(_more(NEW, self.new, counts) - _more(OLD, self.old, counts))

    def apart(self, old: Counts, new: Counts) -> float:
        """The probability that a change lies between two builds with these runs.

        Either the first is of the old side and the second of the new one, or both have one rate,
        whatever it is: then nothing changed between them, even if each looks more like its side.
        """
        two = _more(OLD, self.old, old) + _more(NEW, self.new, new)
        one = _evidence(ANY, old + new)
        return _logistic(two - one + math.log((1 - SAME) / SAME))


class Posterior:
    """Where on a line the one change is, given all runs made on it.

    *First* is the first position of the new side. Its probability is the same for all positions
    between two that were run, so the line is cut into segments there, and a thousand positions cost
    no more than ten. The rates are integrated out for each segment on its own: they are learned
    from the same runs as the answer.
    """

    def __init__(self, counts: Mapping[int, Counts], low: int, high: int, sides: Sides) -> None:
        """The posterior of runs on the line from `low` (old) to `high` (new); others are left out.

        Args:
            counts: position -> its runs.
            low: the last position that is known to be of the old side.
            high: the first position that is known to be of the new side.
            sides: runs of builds whose side is known, other than those in `counts`.
        """
        inside = (position for position in counts if low < position < high)
        self.edges = sorted({low, high, *inside})
        told = [counts.get(edge, Counts()) for edge in self.edges]
        total = sum(told, sides.new)
        sums = list(accumulate(told[:-1], initial=Counts()))[1:]
        self.sides = [Sides(sides.old + done, total - done) for done in sums]
        """What is known of both sides if the first position is in each segment."""
        logs = [
            _evidence(OLD, side.old) + _evidence(NEW, side.new) + math.log(stop - start)
            for side, (start, stop) in zip(self.sides, pairwise(self.edges), strict=True)
        ]
        top = max(logs)
        weights = [math.exp(log - top) for log in logs]
        whole = sum(weights)
        self.weights = [weight / whole for weight in weights]
        self._below = list(accumulate(self.weights, initial=0.0))
        self._above = list(accumulate(reversed(self.weights), initial=0.0))[::-1]

    def mass(self, last: int, first: int) -> float:
        """The probability that the change lies between two positions: last < first new <= first."""
        below = self._part(self._below, last), self._part(self._below, first)
        above = self._part(self._above, last), self._part(self._above, first)
        # Small numbers are taken from the end that they are small at.
        return below[1] - below[0] if below[1] < 0.5 else above[0] - above[1]

    def quantile(self, share: float) -> int:
        """The first position such that the change lies at it or before with this probability."""
        index = min(max(bisect_left(self._below, share) - 1, 0), len(self.weights) - 1)
        inside = (share - self._below[index]) / (self.weights[index] or 1.0)
        start, stop = self.edges[index], self.edges[index + 1]
        return min(max(start + math.ceil(inside * (stop - start)), start + 1), stop)

    def entropy(self) -> float:
        """How much is not known of the first position, in bits."""
        return sum(
            -weight * math.log2(weight / (stop - start))
            for weight, (start, stop) in zip(self.weights, pairwise(self.edges), strict=True)
            if weight > 0
        )

    def best(self, chances: Mapping[int, float], k: int = 1) -> list[tuple[int, float]]:
        """The runs that, made together, are expected to tell most of where the change is.

        The first is the best single one; each further one is the best whatever the others show.

        Args:
            chances: position to choose from -> the probability that a run of it says anything.
            k: how many runs.

        Returns:
            A position (it can come more than once) and what its run is expected to add, in bits.
        """
        plan = _Plan(self)
        return [plan.take(chances) for _ in range(k)] if chances else []

    def _part(self, cumulated: Sequence[float], position: int) -> float:
        index = min(max(bisect_left(self.edges, position) - 1, 0), len(self.weights) - 1)
        start, stop = self.edges[index], self.edges[index + 1]
        share = (position - start) / (stop - start)
        return cumulated[index] * (1 - share) + cumulated[index + 1] * share


class _Plan:
    """Runs to make together: segments, and their weights for each outcome of the runs taken.

    The expected drop in entropy is the mutual information of the outcome and the first position:
    the entropy of the outcome, less what of it is left when the first position is known. It is
    summed over the outcomes of the runs taken before; the rates stay as they are on the way.
    """

    def __init__(self, posterior: Posterior) -> None:
        self.edges = list(posterior.edges)
        self.old = [_rate(OLD, sides.old) for sides in posterior.sides]
        self.new = [_rate(NEW, sides.new) for sides in posterior.sides]
        self.branches = [list(posterior.weights)]

    def take(self, chances: Mapping[int, float]) -> tuple[int, float]:
        whole = [sum(parts) for parts in zip(*self.branches, strict=True)]
        within = _Expected(whole, map(_entropy, self.old), map(_entropy, self.new))
        shown = [(sum(branch), _Expected(branch, self.old, self.new)) for branch in self.branches]
        best, most, worth = -1, -1.0, 0.0
        for position, chance in chances.items():
            index = max(bisect_left(self.edges, position) - 1, 0)
            start, stop = self.edges[index], self.edges[index + 1]
            share = (position - start) / (stop - start)
            gain = -within.at(index, share)
            for weight, expected in shown:
                gain += weight * _entropy(expected.at(index, share) / weight)
            if gain * chance > most:
                best, most, worth = position, gain * chance, gain
        self._run(best)
        return best, max(worth, 0.0)

    def _run(self, position: int) -> None:
        """Split every outcome by what one more run shows."""
        index = bisect_left(self.edges, position)
        if self.edges[index] != position:
            start, stop = self.edges[index - 1], self.edges[index]
            share = (position - start) / (stop - start)
            self.edges.insert(index, position)
            for rates in (self.old, self.new):
                rates.insert(index, rates[index - 1])
            for branch in self.branches:
                branch[index - 1 : index] = [
                    branch[index - 1] * share,
                    branch[index - 1] * (1 - share),
                ]
        # New in the segments that end at the position or before it, old in the others.
        rates = self.new[:index] + self.old[index:]
        split = []
        for branch in self.branches:
            after = [weight * rate for weight, rate in zip(branch, rates, strict=True)]
            split += [after, [a - b for a, b in zip(branch, after, strict=True)]]
        self.branches = sorted(split, key=sum, reverse=True)[:BRANCHES]


class _Expected:
    """The expectation of something that is `new` up to a position, and `old` beyond it."""

    def __init__(
        self, weights: Sequence[float], old: Iterable[float], new: Iterable[float]
    ) -> None:
        olds = [weight * value for weight, value in zip(weights, old, strict=True)]
        news = [weight * value for weight, value in zip(weights, new, strict=True)]
        self._steps = [b - a for a, b in zip(olds, news, strict=True)]
        self._sums = list(accumulate(self._steps, initial=sum(olds)))

    def at(self, index: int, share: float) -> float:
        """At a share of the way through a segment."""
        return self._sums[index] + share * self._steps[index]


def _evidence(prior: Prior, counts: Counts) -> float:
    """The logarithm of the probability of runs in one order, their rate integrated out."""
    after, before = prior
    return _log_beta(after + counts.after, before + counts.before) - _log_beta(after, before)


def _more(prior: Prior, known: Counts, counts: Counts) -> float:
    """The same of runs that are made after others."""
    return _evidence(prior, known + counts) - _evidence(prior, known)


def _rate(prior: Prior, counts: Counts) -> float:
    """How likely one more run is to show `after`."""
    return (prior[0] + counts.after) / (sum(prior) + counts.runs)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _logistic(log_odds: float) -> float:
    if log_odds < 0:
        return math.exp(log_odds) / (1 + math.exp(log_odds))
    return 1 / (1 + math.exp(-log_odds))


def _entropy(probability: float) -> float:
    """Of an outcome of two, in bits."""
    if not 0 < probability < 1:
        return 0.0
    other = 1 - probability
    return -probability * math.log2(probability) - other * math.log2(other)
