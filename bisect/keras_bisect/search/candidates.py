"""Which positions are worth a look for the next run, and how likely each can be tested. Pure.

What a run tells depends smoothly on where it is made, so some dozens of positions spread over what
is probable hold one that is as good as the best of thousands. What a run is *likely* to tell
depends on the builds around it: broken builds come in runs.

Public: `candidates`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence, Set
from itertools import accumulate, pairwise

from keras_bisect.search.posterior import Posterior

__all__ = ["candidates"]

GAPS = 12
"""How many of the gaps between positions that were run are looked into."""
POINTS = 8
"""Into how many parts each is cut for that."""
TOLD = 24
"""How many of the positions that were run are looked at for being run again."""


def candidates(posterior: Posterior, told: Set[int], broken: Set[int]) -> dict[int, float]:
    """Position -> the probability that a run of it says anything, the middle first.

    Args:
        posterior: where the change is; its ends can be run, too.
        told: positions that were run.
        broken: positions that cannot be tested: they are no candidates.
    """
    low, high = posterior.edges[0], posterior.edges[-1]
    inside = [p for p in told if low < p < high and p not in broken]
    marks = sorted({low, high, *inside, *(p for p in broken if low < p < high)})
    ends = {low, high}
    # How many broken marks in a row end at each, and begin there.
    ending = _streaks(marks, broken - ends)
    beginning = _streaks(marks[::-1], broken - ends)[::-1]

    def chance(position: int) -> float:
        index = bisect_left(marks, position)
        if marks[index] == position:
            return 1.0
        left, right = ending[index - 1], beginning[index]
        share = (position - marks[index - 1]) / (marks[index] - marks[index - 1])
        # Beside a broken run, it can end anywhere. Inside, the more builds of it were seen to be
        # broken, the less likely it has a hole (Laplace's rule, once for each of its ends).
        if left and right:
            return 2 * min(share, 1 - share) / ((left + right) * (left + right + 1))
        if left:
            return share
        return 1 - share if right else 1.0

    points = [posterior.quantile(0.5)]
    gaps = [(start, stop) for start, stop in pairwise(marks) if stop - start > 1]
    for start, stop in sorted(gaps, key=lambda gap: -posterior.mass(*gap))[:GAPS]:
        points += (start + (stop - start) * part // POINTS for part in range(1, POINTS))
        points += (start + 1, stop - 1)
    points += sorted(inside, key=lambda p: -posterior.mass(p - 1, p + 1))[:TOLD]
    return {p: chance(p) for p in (*points, low, high) if p not in broken}


def _streaks(marks: Sequence[int], broken: Set[int]) -> list[int]:
    """For each mark, how many in a row are broken up to it."""
    return list(accumulate(marks, lambda n, mark: n + 1 if mark in broken else 0, initial=0))[1:]
