"""Without these, `status` could call a dead search running, or tell of one before the last."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_bisect.documents import event_document
from keras_bisect.errors import UsageError
from keras_bisect.events import Began, Ended, Event, Narrowed, Notice, Probed, Stage
from keras_bisect.record.journal import Journal, began, ended
from keras_bisect.record.recorded import answered, line_of, recorded
from keras_bisect.record.status import Status, status, status_document, status_lines, status_of
from keras_bisect.verdict import Verdict, learn
from test_journal import BAD, GOOD, RUN, SCRIPT, events, probed

AT = datetime(2024, 7, 20, 12, tzinfo=UTC)
LATER = datetime(2024, 7, 21, 12, tzinfo=UTC)
TRANSITION = {
    "kind": "introduced",
    "from": "good",
    "to": "bad",
    "last": {"release": "3.4.1", "nightly": "3.4.1.dev2024071903", "commit": None},
    "first": {"release": "3.5.0", "nightly": None, "commit": "8f5ad1e75b" + "0" * 30},
    "culprit": {"sha": "8f5ad1e75b" + "0" * 30, "subject": "Sort (#1)", "date": "", "pull": 1},
}


def of(told: Sequence[Event], *alive: int) -> Status:
    data = b"".join(line_of(event_document(event)) for event in told)
    return status(recorded(data, "journal"), lambda pid, _: pid in alive)


SEARCH: list[Event] = [
    Began(replace(RUN, good="2.0.0"), AT, 7, 1.0),
    Ended(0, AT),
    Began(RUN, AT, 8, 1.0),
    Stage("both ends"),
    probed("3.5.0", BAD),
    probed("3.4.1", GOOD),
    Narrowed("3.4.1", "3.5.0", 11, 4),
    Stage("12 nightlies"),
    replace(probed("3.4.1.dev1"), same_as="3.4.1"),
]


def test_a_running_search_says_where_it_stands() -> None:
    """Lost: nobody could tell whether waiting is worth while."""
    found = of(SEARCH, 8)
    assert (found.state, found.pid, found.run, found.since) == ("running", 8, RUN, AT)
    assert (found.probes, found.seconds) == (2, 0.75)
    assert found.range == Narrowed("3.4.1", "3.5.0", 11, 4)
    assert found.seconds_left == pytest.approx(4 * 0.375)
    assert [seen.build for seen in found.last] == ["3.5.0", "3.4.1", "3.4.1.dev1"]
    assert status_lines(found) == [
        "bisect /home/me/repro.py: running, process 8, since 2024-07-20 12:00:00 UTC",
        "  ends    good 3.4.1, bad not given",
        "  stage   12 nightlies",
        "  range   3.4.1 … 3.5.0: 11 builds, 4 steps left, about 2 s",
        "  probes  2 in 1 s",
        "  last    3.5.0  not judged yet: KeyError: 'é'",
        "          3.4.1  not judged yet: passes",
        "          3.4.1.dev1  not judged yet: passes",
    ]


def test_a_search_whose_process_is_gone_is_interrupted() -> None:
    """Lost: somebody would wait for a search that was killed in the night."""
    for found in (of(SEARCH, 7), of([*SEARCH, Ended(130, LATER, "Interrupted.")], 8)):
        assert found.state == "interrupted"
        assert status_lines(found)[-1] == "  It goes on with the same command and --resume."


def test_a_search_that_goes_on_counts_all_its_parts_once() -> None:
    """Lost: a resumed search would begin at no probes, or count those it was told of twice."""
    again = [
        *SEARCH,
        Ended(130, LATER),
        Began(RUN, LATER, 9, 1.0, resumed=True),
        *(one for one in SEARCH if isinstance(one, Probed)),
        probed("3.5.0", BAD, sample=1),
    ]
    found = of(again, 9)
    assert (found.state, found.pid, found.since, found.resumed) == ("running", 9, AT, 1)
    assert (found.probes, found.seconds) == (3, 1.25)
    assert found.code is None
    assert status_lines(found)[0].endswith("since 2024-07-20 12:00:00 UTC, resumed once")


def test_a_search_that_ended_says_what_it_found() -> None:
    """Lost: the answer of a search that ran in the background would have to be looked for."""
    found = of([*SEARCH, Ended(0, LATER, transitions=(TRANSITION,))], 8)
    assert (found.state, found.code, found.seconds_left) == ("finished", 0, None)
    assert status_lines(found) == [
        "bisect /home/me/repro.py: finished, since 2024-07-20 12:00:00 UTC",
        "  ends    good 3.4.1, bad not given",
        "  probes  2 in 1 s",
        "  introduced  3.4.1.dev2024071903 good → 8f5ad1e75b bad  8f5ad1e75b Sort (#1)",
    ]
    failed = of([*SEARCH, Ended(5, LATER, "The disk is full.")])
    assert status_lines(failed)[-1] == "  exit code 5: The disk is full."
    # A later version may know less, or more, of a transition.
    bare = of([*SEARCH, Ended(0, LATER, transitions=({},))])
    assert status_lines(bare)[-1] == "  change      ? → ?"


def test_an_answer_outlives_a_later_search_that_has_none() -> None:
    """Lost: after one mistyped end, nobody would be told what a search of hours had found."""
    found = [*SEARCH, Ended(0, LATER, transitions=(TRANSITION,))]
    mistyped = replace(RUN, good="3.4.99")
    for after in (
        [Began(mistyped, LATER, 9, 1.0), Ended(2, LATER, "There is no 3.4.99.")],
        [Began(RUN, LATER, 9, 1.0), Ended(5, LATER, "The disk is full.")],
        [Began(RUN, LATER, 9, 1.0)],
    ):
        told = of([*found, *after])
        assert (told.transitions, told.earlier) == ((), (TRANSITION,))
        first, second = [line for line in status_lines(told) if "earlier" in line or "→" in line]
        assert first == "  an earlier search for this script has an answer:"
        assert second.endswith("8f5ad1e75b bad  8f5ad1e75b Sort (#1)")
        journal = b"".join(line_of(event_document(event)) for event in [*found, *after])
        assert [one.event for one in answered(recorded(journal, ""))] == found[2:]
    # It is of another script: nothing is said of this one.
    other = [Began(replace(RUN, script="0" * 64), LATER, 9, 1.0)]
    assert not of([*found, *other]).earlier
    assert not of([*found, Began(RUN, LATER, 9, 1.0), found[-1]]).earlier


@given(st.lists(events, max_size=5))
def test_any_journal_with_a_search_has_a_status(told: list[Event]) -> None:
    """Lost: `status` would fail on the one journal that somebody needs to know about."""
    found = of([Began(RUN, AT, 8, None), *told])
    assert found.state in ("finished", "interrupted")
    assert status_lines(found)
    assert status_document(found)["schema"] == 1


def test_the_folder_or_the_file_is_asked_for(tmp_path: Path) -> None:
    """Lost: `status HUNT` would take one of the two and fail with the other."""
    path = tmp_path / "hunt" / "journal.jsonl"
    failure = learn(BAD)
    assert failure is not None
    with Journal(path, SCRIPT, failure) as journal:
        journal(began(RUN))
        journal(probed("3.5.0", BAD))
        # It is looked at while it is written.
        found = status_of(path.parent)
        assert found == status_of(path)
        assert found.state == "running" and found.last[0].verdict is Verdict.BAD
        assert f"  failure {failure}" in status_lines(found)
        journal(ended(0))
    with path.open("ab") as file:
        file.write(b'{"schema": 1, "ev')
    assert status_of(path).state == "finished"


def test_a_killed_search_is_seen_to_be_dead(tmp_path: Path) -> None:
    """Lost: the number of a process that is gone would be believed."""
    code = (
        "import os, sys; from pathlib import Path\n"
        "from keras_bisect.record.journal import Journal, began; from keras_bisect.run import Run\n"
        "journal = Journal(Path(sys.argv[1]) / 'journal.jsonl', 's')\n"
        "journal(began(Run('bisect', 's', 'repro.py', None, None, 'optree', 'jax')))\n"
        "print('there', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = status_of(tmp_path)
        assert (found.state, found.pid) == ("running", process.pid)
        process.kill()
        process.wait()
        assert status_of(tmp_path).state == "interrupted"


def test_what_is_no_search_is_told_apart(tmp_path: Path) -> None:
    """Lost: a traceback, or an empty status, for a folder that was mistyped."""
    with pytest.raises(UsageError, match=r"nowhere was expected to be the folder of a search"):
        status_of(tmp_path / "nowhere")
    with Journal(tmp_path / "3.5.0-r11" / "journal.jsonl", SCRIPT) as journal:
        journal(Notice("x"))
    with pytest.raises(UsageError, match=r"Below it there are: 3\.5\.0-r11\."):
        status_of(tmp_path)
    with pytest.raises(UsageError, match=r"no search began in it"):
        status_of(tmp_path / "3.5.0-r11")
    (tmp_path / "journal.jsonl").write_bytes(b"damage\n")
    with pytest.raises(UsageError, match=r"journal\.jsonl, line 1, is damaged"):
        status_of(tmp_path)
