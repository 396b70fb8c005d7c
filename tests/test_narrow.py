"""Narrowing, in histories that are known, and once in that of Keras."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keras_bisect.builds.build import Build
from keras_bisect.builds.index import Index
from keras_bisect.builds.store import Store
from keras_bisect.events import Narrowed, Notice, Stage
from keras_bisect.lab import Lab
from keras_bisect.outcome import Tree
from keras_bisect.probe.prober import Prober, Script
from keras_bisect.search.narrow import narrow_to_files, narrow_to_nightlies
from keras_bisect.search.trial import Hints, Trial
from keras_bisect.transitions import Place, Transition, kind_of
from keras_bisect.verdict import Failure, Verdict, learn
from worlds import CULPRIT, OUTCOMES, SCRIPT, VERDICTS, World

G, B, D, U = Verdict.GOOD, Verdict.BAD, Verdict.DIFFERENT, Verdict.UNTESTABLE
BAD = Failure.of(OUTCOMES["B"])


def trial(world: World, hints: Hints | None = None, sweep: int = 0) -> Trial:
    return Trial(world.lab(), SCRIPT, BAD, hints=hints, sweep=sweep)


def between(last: Build, first: Build, before: Verdict, after: Verdict) -> Transition:
    places = (Place(release=last.name), Place(release=first.name))
    return Transition(kind_of(before, after), before, after, *places)


def nightlies(
    world: World,
    last: tuple[str, int, str],
    first: tuple[str, int, str],
    hints: Hints | None = None,
) -> list[Transition]:
    """What is found between two releases: name, day, how it behaves."""
    before, after = world.release(*last), world.release(*first)
    transition = between(before, after, VERDICTS[last[2]], VERDICTS[first[2]])
    return narrow_to_nightlies(trial(world, hints), transition, before, after)


def days(world: World, transition: Transition) -> tuple[int, int]:
    """The days of the nightlies on both sides."""
    names = [build.name for build in world.nightlies()]
    assert transition.last.nightly and transition.first.nightly
    return names.index(transition.last.nightly), names.index(transition.first.nightly)


def assert_true(world: World, found: list[Transition], before: Verdict, after: Verdict) -> None:
    """Every transition is one of the history, and together they lead from one end to the other."""
    assert found[0].before is before and found[-1].after is after
    assert all(a.after is b.before for a, b in itertools.pairwise(found))
    for one in found:
        low, high = days(world, one)
        assert (VERDICTS[world.line[low]], VERDICTS[world.line[high]]) == (one.before, one.after)
        assert one.kind == kind_of(one.before, one.after)
        assert set(world.line[low + 1 : high]) <= {"U"}
        names = [build.name for build in world.nightlies()[low + 1 : high]]
        assert [entry.build for entry in one.between] == names
        if one.notes:
            # Said only where it is true.
            assert one.notes[0].startswith("There are other changes between these ends")
            assert len(list(itertools.groupby(world.line.replace("U", "")))) > len(found) + 1


@st.composite
def histories(draw: st.DrawFn) -> tuple[str, int, int]:
    """A line of nightlies, and the days of two releases that behave unlike each other."""
    runs = st.lists(st.tuples(st.sampled_from("GBDU"), st.integers(1, 40)), max_size=6)
    before, inside, after = (
        "".join(verdict * length for verdict, length in draw(runs)) for _ in range(3)
    )
    last, first, *_ = draw(st.permutations("GBD"))
    line = before + last + inside + first + after
    low, high = len(before), len(before + last + inside)
    return line, low, high


@given(histories(), st.integers(1, 4))
def test_what_is_found_is_true(history: tuple[str, int, int], jobs: int) -> None:
    """Without it a report could blame a nightly that changed nothing."""
    line, low, high = history
    world = World(line, jobs=jobs)
    found = nightlies(world, ("3.4.1", low, line[low]), ("3.5.0", high, line[high]))
    assert_true(world, found, VERDICTS[line[low]], VERDICTS[line[high]])
    assert (found[0].last.release, found[-1].first.release) == ("3.4.1", "3.5.0")


@given(st.integers(2, 400), st.data())
def test_a_change_is_found_in_few_probes(size: int, data: st.DataObject) -> None:
    """Without it a bisect over a year of nightlies could take as long as probing all of them."""
    first = data.draw(st.integers(1, size - 1))
    world = World("G" * first + "B" * (size - first), jobs=1)
    (found,) = nightlies(world, ("3.4.1", 0, "G"), ("3.5.0", size, "B"))
    assert days(world, found) == (first - 1, first)
    assert len(world.probed) <= size.bit_length() + 4


@given(st.integers(0, 60), st.integers(0, 60))
@example(0, 0)
@example(60, 60)
def test_ends_that_do_not_behave_like_their_release_are_looked_for(early: int, late: int) -> None:
    """Without it a fix that reached the release first, or a late tag, would end the search."""
    # The bug was on main before the release that does not have it; the next one was mended on its
    # branch after main was, or has it from a branch before main did.
    line = "G" * 100 + "B" * 200
    world = World(line)
    (found,) = nightlies(world, ("3.4.1", 100 + early, "G"), ("3.5.0", 250, "B"))
    assert days(world, found) == (99, 100)
    world = World(line)
    (found,) = nightlies(world, ("3.4.1", 20, "G"), ("3.5.0", 99 - late, "B"))
    assert days(world, found) == (99, 100)


def test_a_patch_release_is_made_after_a_later_one() -> None:
    """Without it the nightlies between two such releases would be looked for in no time at all."""
    world = World("G" * 50 + "B" * 100)
    (found,) = nightlies(world, ("3.4.2", 120, "G"), ("3.5.0", 60, "B"))
    assert days(world, found) == (49, 50)


@pytest.mark.parametrize("line", ["G" * 300, "G" * 10, "D" * 300])
def test_a_change_of_a_release_branch_has_no_nightly(line: str) -> None:
    """Without it some nightly would be blamed for what was done on a release branch."""
    world = World(line)
    last, first = world.release("3.4.1", 5, line[0]), world.release("3.5.0", 8, "B")
    transition = between(last, first, VERDICTS[line[0]], B)
    (found,) = narrow_to_nightlies(trial(world), transition, last, first)
    assert found == replace(transition, notes=found.notes)
    (note,) = found.notes
    assert "No nightly around 3.5.0 behaves like it (bad)" in note and "release branch" in note
    assert Notice(note) in world.events


def test_a_release_that_no_nightly_is_like() -> None:
    """Without it a release that was mended on its branch alone would get a wrong first build."""
    world = World("B" * 200)
    (found,) = nightlies(world, ("3.4.1", 60, "G"), ("3.5.0", 190, "B"))
    assert found.last == Place(release="3.4.1") and found.first == Place(release="3.5.0")
    assert "No nightly before 3.5.0 behaves like 3.4.1 (good)" in found.notes[0]


@pytest.mark.parametrize(
    ("line", "release"),
    [
        # Cut before main was mended, and made after it.
        ("G" * 50 + "B" * 10 + "G" * 200, 62),
        # And main broke again later.
        ("G" * 50 + "B" * 10 + "G" * 50 + "B" * 90, 64),
        # Cut long before.
        ("G" * 50 + "B" * 60 + "G" * 400, 310),
    ],
)
def test_a_failure_that_came_and_went_on_main_is_found(line: str, release: int) -> None:
    """Without it a bug that a release has, and main no longer had that day, would not be dated."""
    world = World(line)
    (found,) = nightlies(world, ("3.4.1", 10, "G"), ("3.5.0", release, "B"))
    assert days(world, found) == (49, 50)


@pytest.mark.parametrize("broken", [1, 7, 30])
def test_untestable_nightlies_at_the_answer_are_named(broken: int) -> None:
    """Without it the first nightly that runs again would be blamed alone."""
    world = World("G" * 40 + "U" * broken + "B" * 30)
    (found,) = nightlies(world, ("3.4.1", 0, "G"), ("3.5.0", 60 + broken, "B"))
    assert days(world, found) == (39, 40 + broken)
    assert len(found.between) == broken
    assert all(entry.detail == "the script exits 125" for entry in found.between)


@pytest.mark.parametrize("broken", [1, 5, 12])
def test_untestable_nightlies_at_an_end_are_stepped_over(broken: int) -> None:
    """Without it a broken main on the day of a release would end the search."""
    line = "G" * 40 + "B" * 30 + "U" * broken + "B" * 30
    world = World(line)
    (found,) = nightlies(world, ("3.4.1", 0, "G"), ("3.5.0", 70, "B"))
    assert days(world, found) == (39, 40)


@given(histories(), histories())
def test_hints_never_make_an_answer_wrong(
    history: tuple[str, int, int], other: tuple[str, int, int]
) -> None:
    """Without it a finding could be given the date of the one before it."""
    hints = Hints()
    for line, low, high in (history, other, history):
        world = World(line)
        ends = ("3.4.1", low, line[low]), ("3.5.0", high, line[high])
        assert_true(
            world, nightlies(world, *ends, hints), VERDICTS[line[low]], VERDICTS[line[high]]
        )


def test_hints_save_the_search() -> None:
    """Without it each further finding of a hunt would pay for the whole bisect again."""
    hints = Hints()
    for probes in (10, 4):
        world = World("G" * 200 + "B" * 100, jobs=1)
        (found,) = nightlies(world, ("3.4.1", 0, "G"), ("3.5.0", 299, "B"), hints)
        assert days(world, found) == (199, 200)
        assert len(world.probed) <= probes


def test_builds_without_a_date_are_told() -> None:
    """Without it a folder at one end would be a crash, or bisected over any nightlies."""
    world = World("GB")
    last, first = world.tree("path:a", culprit="G"), world.release("3.5.0", 1, "B")
    (found,) = narrow_to_nightlies(trial(world), between(last, first, G, B), last, first)
    assert "has no date" in found.notes[0]


def test_an_index_without_nightlies_is_told() -> None:
    """Without it an index of one's own, with releases alone, would be a crash."""
    world = World("")
    (found,) = nightlies(world, ("3.4.1", 0, "G"), ("3.5.0", 9, "B"))
    assert found.notes == ("The index offers no nightlies.",)


def test_the_screen_can_follow() -> None:
    """Without it a person would look at a bisect that shows nothing until its end."""
    world = World("G" * 30 + "B" * 30)
    nightlies(world, ("3.4.1", 0, "G"), ("3.5.0", 59, "B"))
    assert world.events[0] == Stage("nightlies between 3.4.1 and 3.5.0")
    steps = [event for event in world.events if isinstance(event, Narrowed)]
    left = [step.builds_left for step in steps]
    assert left == sorted(left, reverse=True) and left[-1] == 0
    assert steps[-1].steps_left == 0


# -- files ---------------------------------------------------------------------


def test_the_file_is_found() -> None:
    """Without it a bisect would end at a day of changes."""
    world = World("G" * 13 + "B" * 14)
    (found,) = nightlies(world, ("3.4.1", 0, "G"), ("3.5.0", 26, "B"))
    low, high = days(world, found)
    last, first = world.nightlies()[low], world.nightlies()[high]
    assert narrow_to_files(trial(world), found, last, first) == replace(found, files=(CULPRIT,))


class Pair(World):
    """Bad with both of two new files, untestable with one of them alone."""

    def behaviour(self, files: object) -> str:
        assert isinstance(files, dict)
        new = [files.get(f"keras/src/{stem}.py") == "new" for stem in ("a", "c")]
        return "B" if all(new) else "U" if any(new) else "G"


def pair(world: World) -> tuple[Build, Build]:
    last = world.tree("path:last", a="old", b="old", c="old", d="old", e="same")
    return last, world.tree("path:first", a="new", b="new", c="new", d="new", e="same")


def test_two_files_that_only_work_together_are_found() -> None:
    """Without it a change of a function and of its caller could not be narrowed to both."""
    world = Pair("GB")
    last, first = pair(world)
    found = narrow_to_files(trial(world), between(last, first, G, B), last, first)
    assert found.files == ("keras/src/a.py", "keras/src/c.py")
    assert ("keras/src/e.py",) not in world.overlays


def test_files_that_do_not_explain_the_change_are_not_blamed() -> None:
    """Without it a change outside Keras' own files would be laid on one of them."""
    world = World("GB")
    last = world.tree("path:last", culprit="G", other="old")
    same = world.tree("path:same", culprit="G", other="old")
    first = world.tree("path:first", culprit="G", other="new")
    transition = between(last, first, G, B)
    none = narrow_to_files(trial(world), transition, last, first)
    assert none.files == () and "all that changed, does not flip" in none.notes[0]
    equal = narrow_to_files(trial(world), transition, last, same)
    assert equal.files == () and "the same sources" in equal.notes[0]


def test_a_file_that_was_blamed_before_is_tried_first() -> None:
    """Without it each further finding would try all changed files again."""
    world = World("GB", jobs=1)
    files = {f"f{n}": "old" for n in range(9)}
    last = world.tree("path:last", culprit="G", **files)
    first = world.tree("path:first", culprit="B", **dict.fromkeys(files, "new"))
    hints = Hints(files=[("keras/src/f3.py",), (CULPRIT,)])
    found = narrow_to_files(trial(world, hints), between(last, first, G, B), last, first)
    assert found.files == (CULPRIT,)
    assert world.overlays == [("keras/src/f3.py",), (CULPRIT,)]


# -- Keras itself --------------------------------------------------------------

FOUNDING = Script(
    """
import sys

try:
    import keras
    import numpy as np
except ImportError as error:
    print(error)
    sys.exit(125)


def output(name, value):
    bias = keras.initializers.Constant(value)
    return keras.layers.Dense(1, kernel_initializer="zeros", bias_initializer=bias, name=name)


x = keras.Input((1,), name="x")
model = keras.Model(x, [output("b", 1.0)(x), output("a", 10.0)(x)])
model.compile(loss={"b": "mse", "a": "mae"})
targets = {"b": np.full((4, 1), 3.0), "a": np.full((4, 1), 15.0)}
observed = model.evaluate(np.zeros((4, 1)), targets, verbose=0, return_dict=True)["loss"]
expected = (1 - 3) ** 2 + abs(10 - 15)
print("expected", expected, "observed", observed)
sys.exit(0 if abs(observed - expected) < 1e-3 else 1)
"""
)


@pytest.fixture(scope="module")
def lab(real_cache: Path) -> Iterator[Lab]:
    index, store = Index(real_cache), Store(real_cache)
    with Prober() as prober, store, Lab(index, store, prober) as made:
        yield made


def founding(lab: Lab, tree: Tree) -> tuple[Trial, Transition]:
    """What nightlies show of the founding bug, between 3.4.1 and 3.5.0."""
    last, first = (lab.resolve(name) for name in ("3.4.1", "3.5.0"))
    failure = learn(lab.outcome(FOUNDING, first, tree))
    assert failure is not None
    made = Trial(lab, FOUNDING, failure, tree)
    assert made.verdict(last) is G
    (found,) = narrow_to_nightlies(made, between(last, first, G, B), last, first)
    return made, found


@pytest.mark.network
def test_the_founding_bug_is_dated_to_its_nightly_and_its_file(lab: Lab) -> None:
    """Without it nothing would show that all this works on the Keras that people use."""
    made, found = founding(lab, "optree")
    assert found.last == Place(release="3.4.1", nightly="3.4.1.dev2024071903")
    assert found.first == Place(release="3.5.0", nightly="3.4.1.dev2024072003")
    ends = [lab.resolve(place.nightly or "") for place in (found.last, found.first)]
    found = narrow_to_files(made, found, *ends)
    assert found.files == ("keras/src/trainers/compile_utils.py",)
    assert not found.notes and not found.between
    assert lab.probes < 40


@pytest.mark.network
def test_the_founding_bug_under_dm_tree_is_a_range(lab: Lab) -> None:
    """Without it nightlies that need optree would be blamed for what dm-tree shows after them."""
    _, found = founding(lab, "dm-tree")
    # From the first of July on, main could not be imported without optree.
    assert found.last == Place(release="3.4.1", nightly="3.4.1.dev2024063003")
    names = [entry.build for entry in found.between]
    assert names[0] == "3.4.1.dev2024070103" and "3.4.1.dev2024072003" in names
    assert all("import of optree halted" in entry.detail for entry in found.between)
