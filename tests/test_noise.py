"""The search under noise, on lines whose truth is known."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_bisect.search.noise import Belief, Counts, Sides

CALIBRATION = 10


@dataclass
class World:
    """A line, and how often each of its builds shows the new verdict."""

    new: Sequence[bool]
    """Whether each build has what is looked for."""
    rates: Sequence[float]
    broken: set[int] = field(default_factory=set)
    seed: object = 0

    def __post_init__(self) -> None:
        self._rng = random.Random(f"{self.seed}")

    @classmethod
    def steps(cls, size: int, cuts: Sequence[int], old: float, new: float, seed: object) -> World:
        """A line that changes at each of some positions, with one rate on each side."""
        side = [sum(cut <= position for cut in cuts) % 2 == 1 for position in range(size)]
        return cls(side, [new if one else old for one in side], seed=seed)

    def run(self, position: int) -> bool | None:
        return None if position in self.broken else self._rng.random() < self.rates[position]

    def calibrated(self, runs: int = CALIBRATION) -> Sides:
        def shown(position: int) -> Counts:
            after = sum(self._rng.random() < self.rates[position] for _ in range(runs))
            return Counts(runs - after, after)

        return Sides(shown(0), shown(len(self.rates) - 1))

    def search(self, k: int = 1, limit: int | None = None, *, at_once: bool = True) -> Belief:
        """The search when it is done; broken builds are excluded at once, or told as no answer."""
        belief = Belief(len(self.rates), self.calibrated(), limit=limit)
        while wanted := belief.ask(k):
            assert len(wanted) <= k
            assert not belief.excluded.intersection(wanted)
            for position in wanted:
                shown = self.run(position)
                if shown is None and at_once:
                    belief.exclude(position)
                else:
                    belief.tell(position, shown)
        assert belief.runs <= belief.limit
        assert belief.left() == 0
        return belief

    def is_true(self, belief: Belief) -> bool:
        """Whether the answer is a change, with nothing testable inside."""
        change = belief.change()
        return (
            not self.new[change.last]
            and self.new[change.first]
            and not self.broken & {change.last, change.first}
            and self.broken.issuperset(change.between)
        )

    def is_within(self, belief: Belief) -> bool:
        """Whether the range that is named holds a change."""
        change = belief.change()
        part = self.new[change.last : change.first + 1]
        return (False, True) in set(pairwise(part))


def random_size(rng: random.Random) -> int:
    return round(2 ** rng.uniform(4, 11))


def tried(worlds: int, world: Callable[[random.Random, int], World], k: int = 1) -> list[float]:
    """Shares of worlds whose answer is right, and wrong but certain; and the mean number of runs.

    Every answer that is not certain has to be a range that holds a change.
    """
    right = wrong = runs = 0
    for seed in range(worlds):
        one = world(random.Random(seed), seed)
        belief = one.search(k)
        runs += belief.runs
        right += belief.decided and one.is_true(belief)
        wrong += belief.decided and not one.is_true(belief)
        assert belief.decided or one.is_within(belief)
    return [right / worlds, wrong / worlds, runs / worlds]


def test_at_five_percent_noise_the_answer_is_right() -> None:
    """Without it noise that every test suite has could name the wrong commit."""

    def world(rng: random.Random, seed: int) -> World:
        size = random_size(rng)
        return World.steps(size, [rng.randrange(1, size)], 0.05, 0.95, seed)

    right, wrong, runs = tried(300, world)
    assert right >= 0.98
    assert wrong <= 0.01
    assert runs <= 25


@pytest.mark.parametrize(
    ("old", "new", "most"),
    [(0, 0.9, 30), (0.1, 1, 30), (0.1, 0.9, 45), (0, 0.5, 75), (0.2, 0.8, 85), (0, 0.3, 140)],
)
def test_other_noise_takes_more_runs_not_more_errors(old: float, new: float, most: int) -> None:
    """Without it a race that shows in one of three runs would be blamed on a later commit."""

    def world(rng: random.Random, seed: int) -> World:
        size = random_size(rng)
        return World.steps(size, [rng.randrange(1, size)], old, new, seed)

    right, wrong, runs = tried(40, world)
    assert right >= 0.95
    assert wrong <= 0.02
    assert runs <= most


@pytest.mark.parametrize("k", [2, 8])
def test_runs_made_together_give_as_true_an_answer(k: int) -> None:
    """Without it `--jobs` could cost the confidence that was asked for."""

    def world(rng: random.Random, seed: int) -> World:
        return World.steps(1000, [rng.randrange(1, 1000)], 0.05, 0.95, seed)

    right, wrong, runs = tried(60, world, k)
    assert right >= 0.98
    assert wrong <= 0.02
    # A single prober takes 21.
    assert runs <= 21 * 3


def test_of_several_changes_one_is_found() -> None:
    """Without it a bug that came and went could be dated to where nothing changed."""

    def world(rng: random.Random, seed: int) -> World:
        size = random_size(rng)
        cuts = sorted(rng.sample(range(1, size), rng.choice([3, 5, 7])))
        old, new = rng.choice([(0, 1), (0.05, 0.95), (0.2, 0.8), (0, 0.5), (0.1, 0.9)])
        return World.steps(size, cuts, old, new, seed)

    right, wrong, _ = tried(150, world)
    assert right >= 0.95
    assert wrong <= 0.01


def test_rates_that_change_on_the_way_do_not_make_a_change() -> None:
    """Without it luck among builds that all flake alike could be taken for the change."""
    right = 0
    for seed in range(150):
        rng = random.Random(seed)
        size = random_size(rng)
        cuts = sorted(rng.sample(range(1, size), rng.choice([1, 3])))
        world = World.steps(size, cuts, 0, 1, seed)
        rates = [0.0]
        for position in range(1, size):
            rate, new = rates[-1], world.new[position]
            if new is not world.new[position - 1] or rng.random() < 2 / size:
                rate = rng.choice([1, 0.95, 0.8] if new else [0, 0.05, 0.2])
            rates.append(rate)
        world.rates = rates
        belief = world.search()
        if not belief.decided:
            assert world.is_within(belief)
            continue
        # Where a new side that fails at times begins is where the old one begins to flake, too.
        assert rates[belief.change().last] < rates[belief.change().first]
        right += world.is_true(belief)
    assert right >= 145


@pytest.mark.parametrize("at_once", [True, False])
def test_noise_among_broken_builds(at_once: bool) -> None:
    """Without it a broken build could be named, or the range leave out a suspect."""
    ranges = 0
    for seed in range(60):
        rng = random.Random(seed)
        size = random_size(rng)
        world = World.steps(size, [rng.randrange(1, size)], 0.05, 0.95, seed)
        for _ in range(rng.choice([1, 3])):
            start = rng.randrange(1, size)
            world.broken |= set(range(start, min(size - 1, start + rng.randrange(1, size // 4))))
        belief = world.search(at_once=at_once)
        ranges += belief.decided and bool(belief.change().between)
        assert world.is_true(belief) if belief.decided else world.is_within(belief)
        # Only a long broken run, each of its builds run twice, takes all runs there are.
        assert belief.decided or len(belief.excluded) > 60
    assert ranges > 3


@given(st.integers(1, 300), st.integers(0, 120), st.integers(1, 300))
def test_a_broken_run_at_the_answer_is_named_exactly(old: int, broken: int, new: int) -> None:
    """Without it a range could leave out the guilty build, or hold builds that were testable."""
    world = World.steps(old + broken + new, [old + broken], 0, 1, 0)
    world.broken = set(range(old, old + broken))
    belief = world.search()
    change = belief.change()
    assert belief.decided
    assert (change.last, change.first) == (old - 1, old + broken)
    assert set(change.between) == world.broken == belief.excluded


@given(st.integers(2, 2000), st.data())
def test_a_script_that_never_flakes_costs_little(size: int, data: st.DataObject) -> None:
    """Without it one flake at an end would make the whole search many times as long."""
    first = data.draw(st.integers(1, size - 1))
    belief = World.steps(size, [first], 0, 1, 0).search()
    change = belief.change()
    assert belief.decided
    assert (change.last, change.first, change.between) == (first - 1, first, ())
    assert (change.before, change.after) == (False, True)
    assert belief.changes() == [change]
    assert belief.runs <= math.log2(size) + 9


@given(st.lists(st.tuples(st.sampled_from("onx"), st.integers(1, 60))), st.integers(1, 5))
def test_whatever_the_history_an_answer_is_a_change(runs: list[tuple[str, int]], k: int) -> None:
    """Without it some pattern of changes and broken builds could lead to a build between."""
    line = "o" + "".join(kind * length for kind, length in runs) + "n"
    world = World([kind == "n" for kind in line], [kind == "n" for kind in line])
    world.broken = {position for position, kind in enumerate(line) if kind == "x"}
    belief = world.search(k)
    assert belief.decided and world.is_true(belief)


@pytest.mark.parametrize("rate", [0, 0.05, 0.5, 1])
def test_sides_that_look_alike_are_not_decided(rate: float) -> None:
    """Without it a bisect of nothing would end with a commit."""
    for seed in range(6):
        belief = World.steps(500, [250], rate, rate, seed).search()
        assert not belief.decided
        assert belief.runs == belief.limit
        assert len(belief.change().between) > 50


def test_a_search_that_is_cut_off_names_an_honest_range() -> None:
    """Without it a small budget would be bought with a confident guess."""
    within = certain = 0
    for seed in range(200):
        rng = random.Random(seed)
        world = World.steps(500, [rng.randrange(1, 500)], 0.1, 0.9, seed)
        belief = world.search(limit=rng.randrange(20))
        within += world.is_within(belief)
        certain += belief.decided
        assert belief.confidence >= 0.99
    assert within >= 196
    assert certain < 60


def test_a_line_that_is_seen_to_change_more_than_once_is_narrowed() -> None:
    """Without it earlier runs that contradict one change would be paid for with many runs."""
    world = World.steps(400, [100, 200, 300], 0, 1, 0)
    belief = Belief(400, world.calibrated())
    for position in [150] * 5 + [250] * 5:
        belief.tell(position, world.run(position))
    while wanted := belief.ask():
        belief.tell(wanted[0], world.run(wanted[0]))
        assert all(position <= 150 for position in wanted) or all(p >= 250 for p in wanted)
    assert belief.decided and world.is_true(belief)
    assert belief.runs <= 10 + 18
    assert belief.counts[150] == Counts(after=5)


def test_earlier_runs_count() -> None:
    """Without it runs that were made before a flake was noticed would be made again."""
    world = World.steps(1000, [700], 0, 1, 0)
    belief = Belief(1000, world.calibrated())
    for position in [500, 750, 650, 720] + [699, 700] * 6:
        belief.tell(position, world.run(position))
    assert belief.ask() == [] and belief.decided
    assert (belief.change().last, belief.change().first) == (699, 700)


def test_a_position_is_given_up_after_two_runs_in_a_row_that_tell_nothing() -> None:
    """Without it one timeout would throw a build out, or a hanging one be run for ever."""
    belief = Belief(3, Sides(Counts(before=5), Counts(after=5)))
    for shown in [None, False, None]:
        belief.tell(1, shown)
    assert not belief.excluded
    belief.tell(1, None)
    assert belief.excluded == {1}
    while wanted := belief.ask(3):
        for position in wanted:
            assert position != 1
            belief.tell(position, position == 2)
    # What it showed before is still known, but no neighbour of the answer can be a silent one.
    assert belief.counts[1] == Counts(before=1)
    assert belief.decided and belief.change().between == (1,)


def test_suspects_are_all_places_the_most_probable_first() -> None:
    """Without it the report could leave out a suspect, or show odds that add up to nothing."""
    world = World.steps(200, [90], 0.1, 0.9, 3)
    world.broken = set(range(80, 100))
    belief = Belief(200, world.calibrated())
    while wanted := belief.ask():
        assert 0 < belief.left() <= belief.limit - belief.runs
        shown = world.run(wanted[0])
        if shown is None:
            belief.exclude(wanted[0])
        else:
            belief.tell(wanted[0], shown)
        suspects = belief.suspects()
        assert sum(odds for *_, odds in suspects) == pytest.approx(1)
        assert all(a.posterior >= b.posterior for a, b in pairwise(suspects))
        places = sorted((one.last, one.first) for one in suspects)
        assert places[0][0] == 0 and places[-1][1] == 199
        assert all(a[1] == b[0] for a, b in pairwise(places))
    assert belief.decided
    assert suspects[0][:2] == (belief.change().last, belief.change().first) == (79, 100)
    assert suspects[0].posterior >= belief.confidence >= 0.99


def test_an_empty_search_is_refused() -> None:
    """Without it a bisect of nothing would end with an answer."""
    sides = Sides(Counts(before=5), Counts(after=5))
    with pytest.raises(ValueError, match="no two ends"):
        Belief(1, sides)
    with pytest.raises(ValueError, match="confidence"):
        Belief(5, sides, confidence=1)
    for act in (lambda: Belief(2, sides).tell(2, True), lambda: Belief(2, sides).exclude(-1)):
        with pytest.raises(IndexError):
            act()
