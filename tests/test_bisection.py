"""The search, on lines whose truth is known."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from itertools import groupby, pairwise

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from keras_bisect.search.bisection import Bisection, Change

Line = Sequence[str | None]


def search(line: Line, k: int = 1) -> tuple[list[Change[str]], list[int]]:
    """The changes found by `k` probers, and the positions they were asked for."""
    before, after = line[0], line[-1]
    assert before is not None and after is not None
    bisection = Bisection[str](len(line), before, after)
    asked: list[int] = []
    while wanted := bisection.ask(k):
        assert len(wanted) <= k
        asked += wanted
        for position in wanted:
            bisection.tell(position, line[position])
    assert bisection.left() == 0
    return bisection.changes(), asked


def assert_true(line: Line, changes: Sequence[Change[str]]) -> None:
    """Every change is one of the line, and together they lead from one end to the other."""
    for change in changes:
        assert line[change.last] == change.before
        assert line[change.first] == change.after
        assert change.before != change.after
        assert change.between == tuple(range(change.last + 1, change.first))
        assert all(line[position] is None for position in change.between)
    steps = [(change.before, change.after) for change in changes]
    assert steps[0][0] == line[0] and steps[-1][1] == line[-1]
    assert all(a[1] == b[0] for a, b in pairwise(steps))


@st.composite
def lines(draw: st.DrawFn, verdicts: str = "GBDN", most: int = 400) -> Line:
    """Runs of equal verdicts (N cannot be tested), between two ends that differ."""
    runs = draw(st.lists(st.tuples(st.sampled_from(verdicts), st.integers(1, most // 4))))
    ends = draw(st.permutations("GBD"))
    text = ends[0] + "".join(verdict * length for verdict, length in runs)[: most - 2] + ends[1]
    return [None if verdict == "N" else verdict for verdict in text]


@given(st.integers(2, 2000), st.data())
@example(2, None)
def test_one_change_is_found_exactly(size: int, data: st.DataObject | None) -> None:
    """Without it a bisect could name the neighbour of the build that broke the script."""
    first = data.draw(st.integers(1, size - 1)) if data else 1
    line = "G" * first + "B" * (size - first)
    changes, asked = search(line)
    assert changes == [Change(first - 1, first, "G", "B")]
    assert len(asked) <= math.ceil(math.log2(size)) + 1


@given(lines())
def test_every_change_that_is_found_is_there(line: Line) -> None:
    """Without it other failures, or broken builds, could be taken for good or for bad."""
    changes, asked = search(line)
    assert_true(line, changes)
    assert len(asked) == len(set(asked))


@given(lines(), st.integers(2, 8))
def test_the_answer_does_not_depend_on_how_many_probe(line: Line, k: int) -> None:
    """Without it `--jobs` could change which build is blamed."""
    changes, asked = search(line, k)
    assert changes == search(line)[0]
    assert len(asked) == len(set(asked))


@given(lines(most=60), st.integers(1, 8), st.randoms(use_true_random=False))
def test_the_answer_does_not_depend_on_the_order_of_the_verdicts(
    line: Line, k: int, random: object
) -> None:
    """Without it two runs could differ by which probe happens to end first."""
    before, after = line[0], line[-1]
    assert before is not None and after is not None
    bisection = Bisection[str](len(line), before, after)
    flying: list[int] = []
    while wanted := bisection.ask(k):
        flying += [position for position in wanted if position not in flying]
        # One that is not waited for is told whenever it comes.
        position = flying.pop(random.randrange(len(flying)))  # type: ignore[attr-defined]
        bisection.tell(position, line[position])
    assert bisection.changes() == search(line)[0]


@given(st.integers(1, 300), st.integers(0, 300), st.integers(1, 300))
def test_a_broken_run_at_the_answer_is_named_exactly(good: int, broken: int, bad: int) -> None:
    """Without it a range could leave out the guilty build, or hold builds that were testable."""
    line: Line = ["G"] * good + [None] * broken + ["B"] * bad
    changes, _ = search(line)
    between = tuple(range(good, good + broken))
    assert changes == [Change(good - 1, good + broken, "G", "B", between)]


@given(st.integers(0, 1000), st.integers(0, 400), st.integers(1, 400), st.booleans())
def test_a_broken_run_beside_the_answer_costs_little(
    broken: int, good: int, bad: int, mirrored: bool
) -> None:
    """Without it a year of broken nightlies would be probed one by one."""
    line: Line = ["G", *[None] * broken, "G", *["G"] * good, *["B"] * bad]
    if mirrored:
        line = line[::-1]
    changes, asked = search(line)
    assert len(changes) == 1 and not changes[0].between
    # About two rounds of halving: one to leave the run, one to find the change.
    assert len(asked) <= 3 * math.log2(len(line)) + 4


@given(lines(verdicts="GBN"))
def test_two_verdicts_give_one_change(line: Line) -> None:
    """Without it a search could wander after changes that do not separate the ends."""
    assume({line[0], line[-1]} == {"G", "B"})
    changes, _ = search(line)
    assert len(changes) == 1


def test_a_third_verdict_is_narrowed_on_both_sides() -> None:
    """Without it only one of the two builds that changed the failure would be named."""
    line = "G" * 90 + "D" * 70 + "B" * 40
    changes, asked = search(line)
    assert changes == [Change(89, 90, "G", "D"), Change(159, 160, "D", "B")]
    assert len(asked) <= 2 * math.ceil(math.log2(200)) + 1


@pytest.mark.parametrize("k", [1, 8])
def test_a_long_line_takes_no_time(k: int) -> None:
    """Without it the search itself could take longer than the probes it plans."""
    line: Line = ["G"] * 500 + [None] * 1000 + ["B"] * 500
    start = time.process_time()
    changes, _ = search(line, k)
    assert changes[0].between == tuple(range(500, 1500))
    assert time.process_time() - start < 5


@given(lines())
def test_what_is_known_narrows_from_step_to_step(line: Line) -> None:
    """Without it the range on the screen could grow, or lose the answer, while one waits."""
    before, after = line[0], line[-1]
    assert before is not None and after is not None
    bisection = Bisection[str](len(line), before, after)
    low, high = 0, len(line) - 1
    while wanted := bisection.ask():
        bisection.tell(wanted[0], line[wanted[0]])
        changes = bisection.changes()
        assert low <= changes[0].last < changes[-1].first <= high
        low, high = changes[0].last, changes[-1].first


def test_ends_that_agree_are_refused() -> None:
    """Without it a bisect of nothing would end with an answer."""
    with pytest.raises(ValueError, match="both ends are G"):
        Bisection(5, "G", "G")
    with pytest.raises(ValueError, match="no two ends"):
        Bisection(1, "G", "B")
    with pytest.raises(IndexError):
        Bisection(2, "G", "B").tell(2, "G")


def test_lines_hold_what_the_tests_are_about() -> None:
    """Without it the strategy could stop making hard lines, and nobody would notice."""
    seen: set[str] = set()

    @given(lines())
    def look(line: Line) -> None:
        runs = [verdict for verdict, _ in groupby(line)]
        seen.update(("none",) if None in runs else ())
        seen.update(("zigzag",) if len(runs) > 5 else ())
        seen.update(("long",) if len(line) > 200 else ())

    look()
    assert seen == {"none", "zigzag", "long"}
