"""Timelines: where verdicts change, and by which failure a timeline is judged."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_bisect.outcome import Ended, Loaded, Outcome, Raised
from keras_bisect.transitions import Entry, Place, kind_of, line_of, reference, transitions
from keras_bisect.verdict import Failure, Verdict

G, B, D, U = Verdict.GOOD, Verdict.BAD, Verdict.DIFFERENT, Verdict.UNTESTABLE
HERE = Loaded("/x/keras/__init__.py", "3.5.0", "optree")
GOOD = Outcome(Ended.EXIT, 0, 0.1, HERE)
ONE = Outcome(Ended.EXIT, 1, 0.1, HERE)
KEY = Outcome(Ended.EXIT, 1, 0.1, HERE, raised=Raised("KeyError", "'b'"))
HANG = Outcome(Ended.TIMEOUT, None, 9.0, HERE)
BROKEN = Outcome(Ended.EXIT, 1, 0.1, HERE, import_error=Raised("ImportError", "no optree"))
GAVE_UP = Outcome(Ended.EXIT, 125, 0.1, HERE)

entries = st.lists(st.sampled_from(list(Verdict))).map(
    lambda verdicts: [Entry(f"3.{n}.0", verdict, "") for n, verdict in enumerate(verdicts)]
)


@given(entries)
def test_transitions_are_all_the_changes_there_are(line: list[Entry]) -> None:
    """Without it a timeline could hide a release that broke or mended the script."""
    testable = [entry for entry in line if entry.verdict is not U]
    expected = [
        (a.build, b.build, a.verdict, b.verdict)
        for a, b in pairwise(testable)
        if a.verdict is not b.verdict
    ]
    found = transitions(line)
    assert [(t.last.release, t.first.release, t.before, t.after) for t in found] == expected
    names = [entry.build for entry in line]
    for one in found:
        assert one.last.release is not None and one.first.release is not None
        inside = line[names.index(one.last.release) + 1 : names.index(one.first.release)]
        # Untestable builds before a run of equal verdicts ended are not part of the change.
        assert list(one.between) == inside
        assert all(entry.verdict is U for entry in inside)


def test_a_transition_says_what_a_report_needs() -> None:
    """Without it the JSON could call a fix an introduction."""
    line = [Entry("3.0.0", G, ""), Entry("3.1.0", U, "no import"), Entry("3.2.0", B, "KeyError")]
    (found,) = transitions(line)
    assert (found.kind, found.before, found.after) == ("introduced", G, B)
    assert (found.last, found.first) == (Place(release="3.0.0"), Place(release="3.2.0"))
    assert found.between == (line[1],)
    assert found.files == () and found.notes == ()


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (G, B, "introduced"),
        (G, D, "introduced"),
        (B, G, "fixed"),
        (D, G, "fixed"),
        (B, D, "changed"),
        (D, B, "changed"),
    ],
)
def test_kinds(before: Verdict, after: Verdict, kind: str) -> None:
    """Without it a failure that turns into another could count as a fix."""
    assert kind_of(before, after) == kind


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([], None),
        ([GOOD, GAVE_UP], None),
        ([GOOD, ONE, GOOD], ONE),
        ([KEY, ONE, ONE], ONE),
        ([KEY, KEY, ONE], KEY),
        ([KEY, ONE], ONE),
        ([ONE, KEY], KEY),
        ([BROKEN, BROKEN, HANG, HANG, KEY, GOOD], KEY),
        ([BROKEN, HANG, HANG, GOOD], HANG),
        ([BROKEN, GOOD], BROKEN),
    ],
)
def test_the_failure_to_go_by_is_that_of_most_builds(
    outcomes: list[Outcome], expected: Outcome | None
) -> None:
    """Without it a timeline could be judged by a broken import instead of the script's failure."""
    assert reference(outcomes) == (None if expected is None else Failure.of(expected))


@given(entries)
def test_a_line_shows_every_run(line: list[Entry]) -> None:
    """Without it the one line that a person reads could leave out a change."""
    text = line_of(line)
    runs = sum(i == 0 or line[i - 1].verdict is not entry.verdict for i, entry in enumerate(line))
    assert sum(text.count(symbol) for symbol in "✓✗≠·") == runs
    if line:
        assert line[0].build in text and line[-1].build in text
