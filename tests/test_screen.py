"""Without these, what a person reads could be too long to read, or cut without a word."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from keras_bisect.api import Bisected
from keras_bisect.builds.build import Build
from keras_bisect.events import Notice
from keras_bisect.outcome import Ended, Loaded, Outcome, Raised
from keras_bisect.search.commits import NO_COMMITS
from keras_bisect.transitions import Culprit, Entry, Place, Transition
from keras_bisect.verdict import NO_IMPORT, Failure, Verdict, first_look, judge
from keras_bisect.wording import cut, short
from keras_repro.screen import (
    Progress,
    bisect_summary,
    failure_of,
    timeline_summary,
    transition_lines,
)

SHA, OTHER = "8f5ad1e75b" + "0" * 30, "1e8426b2f5" + "a" * 30
FILES = tuple(f"keras/src/{letter}.py" for letter in "abcdef")
FOUND = Transition(
    "introduced",
    Verdict.GOOD,
    Verdict.BAD,
    Place(commit=OTHER),
    Place(commit=SHA),
    culprit=Culprit(SHA, "Sort (#1)", "2024-07-19T12:00:00+00:00", 1, FILES),
    files=FILES[:1],
    between=(Entry(f"git:{OTHER}", Verdict.UNTESTABLE, "x" * 200),),
    notes=(f"git:{OTHER} and {SHA} part at {OTHER}.",),
)


def test_a_change_is_told_in_short_lines() -> None:
    """Lost: lines of forty digits, and a reason that ends in the middle of a word."""
    lines = list(transition_lines([FOUND]))
    assert not [line for line in lines if re.search("[0-9a-f]{11}", line)]
    touched = ", ".join(FILES[:4])
    assert any(line.endswith(f"touches {touched}, … (6 files)") for line in lines)
    assert any(line.endswith("x…)") for line in lines)
    assert lines[-1].endswith("git:1e8426b2f5 and 8f5ad1e75b part at 1e8426b2f5.")


def test_what_is_true_of_all_changes_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Lost: without a network, fifty equal lines, between which nobody finds the findings."""
    lines = list(transition_lines([FOUND, replace(FOUND, kind="fixed")]))
    assert sum(" note " in line for line in lines) == 1
    told = Progress()
    for text in ("no network", "no network", "no disk"):
        told(Notice(text))
    said = capsys.readouterr().err
    assert (said.count("no network"), said.count("no disk")) == (1, 1)


def test_a_change_without_a_commit_says_how_to_go_on_with_builds_that_exist() -> None:
    """Lost: a command that is refused, for want of `git:`, or whose good end is not good."""
    ends = [Build("release", name) for name in ("3.5.0", "3.7.0")]
    note = (f"{NO_COMMITS}: it is a shallow clone.",)
    begins = replace(FOUND, last=Place("3.5.0"), notes=note)
    changes = replace(begins, kind="changed", before=Verdict.BAD, after=Verdict.DIFFERENT)
    ended = replace(begins, kind="fixed", before=Verdict.DIFFERENT, after=Verdict.GOOD)
    found = Bisected((begins, changes, changes, ended), Failure(Ended.EXIT, 1), *ends, (), 1, 1.0)
    lines = bisect_summary(found, Path("a.py")).splitlines()
    said = [line.split("a.py ")[1].split(" --repo")[0] for line in lines if "go on:" in line]
    assert said == [
        f"--good 3.5.0 --bad git:{SHA}",
        "--good 3.5.0 --bad 3.7.0",
        f"--good git:{SHA} --bad 3.5.0",
    ]


def test_a_range_says_how_it_may_become_an_answer() -> None:
    """Lost: whoever meets builds that do not import would have to know of --era."""

    def said(detail: str, *typed: str) -> list[str]:
        between = (Entry("git:1", Verdict.UNTESTABLE, detail),)
        ends = [Build("release", name) for name in ("3.7.0", "3.8.0")]
        failure = Failure(Ended.EXIT, 1)
        found = Bisected((replace(FOUND, between=between),), failure, ends[0], ends[1], (), 1, 1.0)
        text = bisect_summary(found, Path("my script.py"), (), typed)
        return [line for line in text.splitlines() if line.startswith("go on:")]

    absent = f"the script exits 125: {NO_IMPORT}: No module named 'sklearn'"
    [line] = said(absent, "--good", "3.7.0", "--to", "commit")
    assert "keras-repro bisect 'my script.py' --good 3.7.0 --to commit --era " in line
    assert not said(absent, "--era") and not said("does not end within 3 s")


def test_a_timeline_that_is_cut_says_so() -> None:
    """Lost: half a message would pass for a whole one."""
    text = timeline_summary([Entry("3.5.0", Verdict.BAD, "y" * 300)], [])
    assert text.splitlines()[0].endswith("y…") and len(text.splitlines()[0]) == 160


@pytest.mark.parametrize(
    "raised, said",
    [
        (Raised("AssertionError", "", line=3), "AssertionError at line 3: assert model.built"),
        (Raised("AssertionError", " ", line=4), "AssertionError at line 4"),
        (Raised("StopIteration", "", ("src/a.py:call",)), "StopIteration in src/a.py:call"),
        (Raised("KeyError", "'a'", ("src/a.py:call",)), "KeyError: 'a'"),
        (Raised("AssertionError", ""), "AssertionError"),
    ],
)
def test_an_exception_without_words_says_where_it_was_raised(raised: Raised, said: str) -> None:
    """Lost: `bad: AssertionError`, of a script with twenty of them."""
    trace = (
        "Traceback (most recent call last):\n"
        '  File "/x/repro.py", line 3, in <module>\n'
        "    assert model.built\n           ^^^^^^^^^^^\nAssertionError\n"
    )
    loaded = Loaded("/x/keras/__init__.py", "3.5.0", "optree")
    outcome = Outcome(Ended.EXIT, 1, 0.5, loaded, raised=raised, stderr=trace)
    assert first_look(outcome).detail == said
    failure = Failure.of(outcome)
    assert judge(outcome, failure).verdict is Verdict.BAD
    where = raised.frames[-1] if raised.frames else f"line {raised.line}" if raised.line else ""
    assert failure_of(failure) == str(failure) + (f" ({where})" if where else "")


def test_only_whole_names_of_commits_are_shortened() -> None:
    """Lost: a path or a link in a message would lead nowhere."""
    for whole in (f"/cache/{SHA}/keras", f"https://x/commit/{SHA}", SHA + "0", f"sha256-{SHA}"):
        assert short(whole) == whole
    assert short(f"({SHA}), git:{SHA}.") == "(8f5ad1e75b), git:8f5ad1e75b."
    assert cut("ab", 2) == "ab" and cut("abc", 2) == "a…"
