"""What runs say, held against sums that take no short cuts and worlds whose rates are known."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_bisect.search.posterior import NEW, OLD, Counts, Posterior, Sides

counts = st.builds(Counts, st.integers(0, 30), st.integers(0, 30))
sides = st.builds(Sides, counts, counts)


def mirrored(one: Counts) -> Counts:
    return Counts(one.after, one.before)


def evidence(prior: tuple[float, float], one: Counts) -> float:
    """The probability of runs, one after the other, each by what was seen before it."""
    after, before = prior
    product = 1.0
    for shown in [True] * one.after + [False] * one.before:
        product *= (after if shown else before) / (after + before)
        after, before = after + shown, before + (not shown)
    return product


@given(sides, counts)
def test_a_side_is_what_bayes_says(known: Sides, own: Counts) -> None:
    """Without it a build could be put on a side by a formula that nobody checked."""
    new = evidence(NEW, known.new + own) / evidence(NEW, known.new)
    old = evidence(OLD, known.old + own) / evidence(OLD, known.old)
    assert known.belongs_new(own) == pytest.approx(new / (new + old), rel=1e-6, abs=1e-12)
    assert known.belongs_new(Counts()) == 0.5


@given(sides, counts, counts)
def test_a_lost_bug_is_judged_as_a_new_one(known: Sides, one: Counts, other: Counts) -> None:
    """Without it `--find-fix` could be surer, or less sure, than a bisect of the same runs."""
    mirror = Sides(mirrored(known.new), mirrored(known.old))
    assert mirror.belongs_new(mirrored(one)) == pytest.approx(1 - known.belongs_new(one))
    assert mirror.apart(mirrored(other), mirrored(one)) == pytest.approx(known.apart(one, other))


@pytest.mark.parametrize(
    ("old", "new"), [(0, 1), (0, 0.5), (0, 0.1), (0.05, 0.95), (0.2, 0.8), (0.1, 0.6)]
)
def test_a_build_is_put_on_its_side(old: float, new: float) -> None:
    """Without it a build that fails in one of ten runs could pass for a good one."""
    right = wrong = 0
    for seed in range(300):
        rng = random.Random(seed)

        def shown(rate: float, runs: int, rng: random.Random = rng) -> Counts:
            after = sum(rng.random() < rate for _ in range(runs))
            return Counts(runs - after, after)

        known = Sides(shown(old, 60), shown(new, 60))
        truth, own, probably = rng.random() < 0.5, Counts(), 0.5
        while 0.01 < probably < 0.99 and own.runs < 400:
            own += shown(new if truth else old, 1)
            probably = known.belongs_new(own)
        right += probably >= 0.99 if truth else probably <= 0.01
        wrong += probably <= 0.01 if truth else probably >= 0.99
    assert wrong <= 6
    # At one in ten, calibration itself says little: some builds take more runs than these.
    assert right >= 275


@given(st.integers(0, 30), st.integers(0, 30), sides)
def test_two_builds_that_show_the_same_are_not_apart(before: int, after: int, known: Sides) -> None:
    """Without it a change could be named between two builds that both fail in half of the runs."""
    assert known.apart(Counts(before, after), Counts(before, after)) < 0.99
    certain = Sides(Counts(before=10), Counts(after=10))
    assert certain.apart(Counts(after=5), Counts(before=5)) < 0.01
    assert certain.apart(Counts(before=5), Counts(after=5)) > 0.99


def on_a_line(most: int = 12) -> st.SearchStrategy[Mapping[int, Counts]]:
    few = st.builds(Counts, st.integers(0, 4), st.integers(0, 4))
    return st.dictionaries(st.integers(0, most), few, max_size=6)


@given(on_a_line(), sides)
def test_the_posterior_is_what_bayes_says_of_each_position(
    told: Mapping[int, Counts], known: Sides
) -> None:
    """Without it the short cut over segments could point at another build."""
    low, high = 0, 12
    weights = {}
    for first in range(low + 1, high + 1):
        old = sum((c for p, c in told.items() if p < first), known.old)
        new = sum((c for p, c in told.items() if p >= first), known.new)
        weights[first] = evidence(OLD, old) * evidence(NEW, new)
    whole = sum(weights.values())
    posterior = Posterior(told, low, high, known)
    for first, weight in weights.items():
        assert posterior.mass(first - 1, first) == pytest.approx(weight / whole, rel=1e-6)
    assert posterior.mass(low, high) == pytest.approx(1)
    middle = posterior.quantile(0.5)
    assert posterior.mass(low, middle) >= 0.5 - 1e-9
    assert middle == 1 or posterior.mass(low, middle - 1) <= 0.5 + 1e-9
    odds = [weight / whole for weight in weights.values()]
    assert posterior.entropy() == pytest.approx(-sum(p * math.log2(p) for p in odds), rel=1e-6)


@given(on_a_line(), sides)
def test_the_next_run_is_the_one_that_tells_most(told: Mapping[int, Counts], known: Sides) -> None:
    """Without it the search could still be right, but take many times the runs."""
    posterior = Posterior(told, 0, 12, known)
    odds = {first: posterior.mass(first - 1, first) for first in range(1, 13)}

    def rate(position: int, first: int) -> float:
        segment = next(i for i, edge in enumerate(posterior.edges[1:]) if first <= edge)
        prior, side = (
            (NEW, posterior.sides[segment].new)
            if position >= first
            else (OLD, posterior.sides[segment].old)
        )
        return (prior[0] + side.after) / (sum(prior) + side.runs)

    def entropy(shares: list[float]) -> float:
        whole = sum(shares)
        return -sum(s / whole * math.log2(s / whole) for s in shares if s > 0)

    def gain(position: int) -> float:
        """What is not known now, less what is not known after the run, on average."""
        after = [p * rate(position, first) for first, p in odds.items()]
        before = [p * (1 - rate(position, first)) for first, p in odds.items()]
        left = sum(after) * entropy(after) + sum(before) * entropy(before)
        return entropy(list(odds.values())) - left

    [(best, bits)] = posterior.best(dict.fromkeys(range(13), 1.0))
    assert bits == pytest.approx(gain(best), abs=1e-6)
    assert bits == pytest.approx(max(map(gain, range(13))), abs=1e-6)


def test_runs_made_together_are_spread() -> None:
    """Without it more jobs would all run the build in the middle."""
    posterior = Posterior({}, 0, 1024, Sides(Counts(before=20), Counts(after=20)))
    chances = dict.fromkeys(range(0, 1025, 128), 1.0)
    taken = [position for position, _ in posterior.best(chances, 3)]
    assert taken[0] == 512
    assert sorted(taken) == [256, 512, 768]
