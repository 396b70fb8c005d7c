"""The search on a line, in histories that are known, with scripts of every temper."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_bisect.outcome import Outcome
from keras_bisect.probe.prober import Task
from keras_bisect.search.line import Found, beyond, changes, others
from keras_bisect.search.narrow import Grain
from keras_bisect.search.stages import narrow_between
from keras_bisect.search.trial import Repeat, Trial
from keras_bisect.verdict import Failure, Verdict
from worlds import OUTCOMES, SCRIPT, VERDICTS, World

G, B = Verdict.GOOD, Verdict.BAD
BAD = Failure.of(OUTCOMES["B"])


class Moody(World):
    """A history whose script shows something else than it should in some of its runs."""

    calm = False
    """Whether it shows what it should for now."""

    def __init__(self, line: str, seed: int, *, moods: Mapping[str, float], jobs: int = 2) -> None:
        super().__init__(line, jobs=jobs)
        self._random = random.Random(seed)
        self._moods = moods

    def outcome(self, task: Task) -> Outcome:
        behaviour = self.behaviour(task.source.files)
        if self.calm:
            return OUTCOMES[behaviour]
        if self._random.random() < self._moods.get(behaviour, 0.0):
            behaviour = {"G": "B", "B": "G"}[behaviour]
        return OUTCOMES[behaviour]


def search(world: World, *, runs: int | None = None, every: bool = False) -> list[Found]:
    """The whole line of a world, its ends calibrated as a bisect does."""
    trial = Trial(world.lab(), SCRIPT, BAD, repeat=Repeat(runs))
    line = world.nightlies()
    before, after = (VERDICTS[world.line[end]] for end in (0, -1))
    ends = {before: line[0], after: line[-1]}
    list(trial.judged([line[0], line[-1]]))
    trial.calibrate(ends[G], ends[B])
    return changes(trial, line, before, after, every=every)


def is_true(world: World, found: Found) -> bool:
    """Whether there is this change, with nothing testable inside."""
    names = [build.name for build in world.nightlies()]
    last, first = names.index(found.last.name), names.index(found.first.name)
    ends = VERDICTS[world.line[last]], VERDICTS[world.line[first]]
    return ends == (found.before, found.after) and set(world.line[last + 1 : first]) <= {"U"}


def history(chance: random.Random, size: int, *, turns: int = 1) -> str:
    """A line from good to bad with some turns, and runs that cannot be tested."""
    cuts = sorted(chance.sample(range(1, size), turns))
    bounds = [0, *cuts, size]
    line = [
        "GB"[part % 2]
        for part, (a, b) in enumerate(itertools.pairwise(bounds))
        for _ in range(a, b)
    ]
    for _ in range(chance.randrange(3)):
        start = chance.randrange(1, size)
        for place in range(start, min(size - 1, start + chance.randrange(1, 9))):
            line[place] = "U"
    return "".join(line)


@pytest.mark.parametrize(
    ("good", "bad"), [(0.05, 0.05), (0.0, 0.1), (0.0, 0.5), (0.1, 0.0)], ids=str
)
def test_a_script_that_fails_at_random_is_bisected_rightly(good: float, bad: float) -> None:
    """Without it a race, or a flaky download, would blame an innocent commit with certainty."""
    worlds, wrong = 100, []
    for seed in range(worlds):
        chance = random.Random(seed)
        line = history(chance, chance.choice([12, 90, 400]))
        world = Moody(line, seed, moods={"G": good, "B": bad})
        [found] = search(world)
        if not is_true(world, found) and not found.between:
            wrong.append((seed, line[:40], found.confidence))
    assert len(wrong) <= worlds * 0.02, wrong


@pytest.mark.parametrize("noise", [0.05, 0.2])
def test_several_changes_and_noise_give_one_that_is_there(noise: float) -> None:
    """Without it a history that goes to and fro would get a made-up culprit."""
    worlds, wrong = 30, 0
    for seed in range(worlds):
        chance = random.Random(seed)
        line = history(chance, chance.choice([40, 300, 2000]), turns=3)
        world = Moody(line, seed, moods={"G": noise, "B": noise})
        wrong += any(not found.between and not is_true(world, found) for found in search(world))
    assert wrong <= 1


@pytest.mark.parametrize(("good", "bad"), [(0.05, 0.05), (0.0, 0.1), (0.1, 0.0)], ids=str)
def test_a_run_in_bad_luck_is_no_change_of_its_own(good: float, bad: float) -> None:
    """Without it --all would blame two innocent commits for each flake among the good builds."""
    worlds, wrong, missed = 30, 0, 0
    for seed in range(worlds):
        chance = random.Random(seed)
        line = history(chance, 40, turns=chance.choice([1, 3]))
        world = Moody(line, seed, moods={"G": good, "B": bad})
        found = search(world, every=True)
        wrong += any(not one.between and not is_true(world, one) for one in found)
        tested = line.replace("U", "")
        missed += len(found) < sum(a != b for a, b in itertools.pairwise(tested))
    assert wrong <= 1 and missed <= 1


def test_a_run_in_bad_luck_is_no_change_between_releases() -> None:
    """Without it --all would date a flake to a release, and go on from there to a commit."""
    wrong = 0
    for seed in range(20):
        world = Moody("G", seed, moods={"G": 0.1})
        line = world.release_line("G" * 20 + "B" * 10)
        trial = Trial(world.lab(), SCRIPT, BAD, repeat=Repeat())
        list(trial.judged([line[0], line[-1]]))
        trial.calibrate(line[0], line[-1])
        found = narrow_between(trial, line[0], line[-1], Grain.RELEASE, True)
        wrong += [(one.last.release, one.first.release) for one in found] != [("3.19.0", "3.20.0")]
    assert wrong <= 1


@pytest.mark.parametrize("every", [False, True])
def test_an_end_of_a_line_that_passed_in_luck_is_not_believed(every: bool) -> None:
    """Without it a bad nightly that passed once, before the script was known to be noisy, would be
    the good end of a search that names a culprit among bad builds only; or of one that finds none.
    """
    wrong = 0
    for seed in range(20):
        world = Moody("G" * 10 + "B" * 70, seed, moods={"B": 0.5})
        # What was mended on the branch of a release is still wrong in the nightly of its day.
        good, bad = world.release("3.1.0", 40, "G"), world.release("3.2.0", 60, "B")
        trial = Trial(world.lab(), SCRIPT, BAD, repeat=Repeat())
        world.calm = True
        list(trial.judged([good, bad]))
        trial.calibrate(good, bad)
        world.calm = False
        [found] = narrow_between(trial, good, bad, Grain.NIGHTLY, every)
        names = [build.name for build in world.nightlies()]
        if found.first.nightly and not found.between:
            wrong += names.index(found.first.nightly) != 10
    assert wrong <= 1


def test_a_script_of_one_mind_is_run_once_but_where_it_matters() -> None:
    """Without it every bisect would pay for the few scripts that are not."""
    world = World("G" * 900 + "B" * 1100, jobs=1)
    [found] = search(world)
    assert is_true(world, found) and found.confidence == 1 and not found.tallies
    # The steps; one more run of both ends, three of both neighbours; one build on each side.
    assert len(world.probed) <= 11 + 2 + 2 + 6 + 2
    world = World("G" * 900 + "B" * 1100, jobs=1)
    search(world, runs=1)
    assert len(world.probed) <= 11 + 2 + 2


def test_noise_is_told_with_its_counts() -> None:
    """Without it a person could not see how much an answer rests on."""
    world = Moody("G" * 50 + "B" * 60, 1, moods={"B": 0.6})
    [found] = search(world)
    assert is_true(world, found)
    assert 0.99 <= found.confidence < 1
    counts = {one.build: one.verdicts for one in found.tallies}
    assert counts[found.last.name].get(B, 0) == 0 < counts[found.first.name][B]


def test_a_script_that_shows_the_same_on_both_sides_is_no_answer() -> None:
    """Without it a script that tosses a coin would get a culprit."""
    line = "G" * 30 + "B" * 30
    decided = 0
    for seed in range(20):
        [found] = search(Moody(line, seed, moods={"G": 0.5, "B": 0.5}))
        decided += not found.between
    assert decided <= 1


@given(st.integers(0, 2**32), st.integers(1, 4))
@settings(max_examples=40)
def test_jobs_do_not_change_the_answer(seed: int, jobs: int) -> None:
    """Without it --jobs could change who is blamed."""
    chance = random.Random(seed)
    line = history(chance, chance.randrange(20, 200), turns=chance.choice([1, 3]))
    places = [
        [(one.last.name, one.first.name) for one in search(World(line, jobs=j))] for j in (1, jobs)
    ]
    assert places[0] == places[1]


@given(st.integers(0, 2**32), st.data())
@settings(max_examples=60)
def test_suspects_never_make_an_answer_wrong(seed: int, data: st.DataObject) -> None:
    """Without it a guess of a person could become the answer."""
    chance = random.Random(seed)
    line = history(chance, chance.randrange(20, 200), turns=chance.choice([1, 3]))
    suspects = data.draw(st.lists(st.integers(0, len(line) - 1), max_size=4))
    world = World(line)
    trial = Trial(world.lab(), SCRIPT, BAD)
    for found in changes(trial, world.nightlies(), G, B, suspects=suspects):
        assert is_true(world, found)


def test_a_right_suspect_saves_the_search() -> None:
    """Without it --suspect would be a word without effect."""
    world = World("G" * 700 + "B" * 1300, jobs=1)
    trial = Trial(world.lab(), SCRIPT, BAD, sweep=0)
    [found] = changes(trial, world.nightlies(), G, B, suspects=[700])
    assert is_true(world, found) and len(world.probed) == 2


@pytest.mark.parametrize("turns", [1, 3, 5])
def test_every_change_is_found_where_all_are_asked_for(turns: int) -> None:
    """Without it --all would leave out what a plain search leaves out."""
    for seed in range(10):
        line = history(random.Random(seed), 60, turns=turns).replace("U", "G")
        world = World(line)
        trial = Trial(world.lab(), SCRIPT, BAD)
        found = changes(trial, world.nightlies(), G, B, every=True)
        assert all(is_true(world, one) for one in found)
        assert len(found) == len(list(itertools.groupby(line))) - 1


def test_other_changes_that_were_seen_are_told() -> None:
    """Without it a person would take one of several changes for the only one."""
    world = World("G" * 30 + "B" * 10 + "G" * 10 + "B" * 70)
    trial = Trial(world.lab(), SCRIPT, BAD)
    line = world.nightlies()
    trial.entries([line[0], line[35], line[45], line[-1]])
    found = changes(trial, line, G, B)
    note = others(trial, line, found)
    assert note is not None and "--all" in note
    assert others(trial, line[:35], found[:1]) is None or len(found) > 1


def test_what_lies_around_an_answer_is_looked_at() -> None:
    """Without it a change that was taken back at once would be told as the end of the story."""
    world = World("G" * 40 + "BG" + "B" * 40)
    trial = Trial(world.lab(), SCRIPT, BAD)
    line = world.nightlies()
    [found] = changes(trial, line, G, B)
    assert beyond(trial, line, found) is not None
    calm = World("G" * 40 + "B" * 40)
    trial = Trial(calm.lab(), SCRIPT, BAD)
    [found] = changes(trial, calm.nightlies(), G, B)
    assert beyond(trial, calm.nightlies(), found) is None


def test_a_failure_of_another_kind_is_a_change_of_its_own_under_noise() -> None:
    """Without it a script that is flaky would hide where its failure turns into another."""
    for seed in range(10):
        chance = random.Random(seed)
        one, two = sorted(chance.sample(range(10, 190), 2))
        line = "G" * one + "D" * (two - one) + "B" * (200 - two)
        world = Moody(line, seed, moods={"G": 0.1, "B": 0.4})
        found = search(world)
        assert len(found) == 2
        assert all(change.between or is_true(world, change) for change in found)


def test_what_is_on_disk_is_tried_before_its_neighbours() -> None:
    """Without it every step would fetch a wheel while the one beside it is at hand."""
    world = World("G" * 50 + "B" * 50, jobs=1)
    world.on_disk = {world.nightlies()[52].name}
    search(world, runs=1)
    assert world.nightlies()[52].name in world.probed[:4]


def test_a_line_that_is_only_sampled_says_so() -> None:
    """Without it `--all` over years of nightlies would claim to have seen every change."""
    world = World("G" * 100 + "B" * 100)
    trial = Trial(world.lab(), SCRIPT, BAD)
    changes(trial, world.nightlies(), G, B, every=True)
    assert any("64 of them" in str(event) for event in world.events)
