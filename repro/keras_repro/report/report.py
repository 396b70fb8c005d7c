"""A report: what is known and what was seen, arranged for a reader. Pure.

Both renderings, the issue and the page, take their matter from here, so they never disagree.

Public: `Report`, `Row`, `Sight`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from keras_bisect.outcome import Outcome
from keras_bisect.transitions import Entry, Transition, line_of, transitions
from keras_bisect.verdict import Verdict
from keras_repro.case import Case
from keras_repro.report import wording
from keras_repro.report.facts import Facts
from keras_repro.report.looking import Seen
from keras_repro.report.wording import Gap, Piece
from keras_repro.script import read_table

__all__ = ["Report", "Row", "Sight"]

OUTPUT_LINES: Final = 30
OUTPUT_COLUMNS: Final = 160
AS_GIT_SEES_IT: Final = {
    Verdict.GOOD: "exits 0",
    Verdict.BAD: "fails",
    Verdict.DIFFERENT: "fails in another way",
    Verdict.UNTESTABLE: "cannot be tested",
}
OTHERWISE: Final = 4
"""Other failures of releases that are told."""


@dataclass(frozen=True)
class Row:
    """A line of a table of three columns, as text."""

    name: str
    expected: str
    observed: str
    wrong: bool = True


@dataclass(frozen=True)
class Sight:
    """What a run showed, line by line."""

    lines: tuple[str, ...]
    left_out: int = 0


@dataclass(frozen=True)
class Report:
    """One failure, ready to be told."""

    facts: Facts
    seen: Seen

    @cached_property
    def title(self) -> str:
        """One line for the list of issues."""
        return wording.title(self.facts)

    @cached_property
    def headline(self) -> list[Piece]:
        """The first line."""
        return wording.headline(self.facts, self.changes, self.timeline, self.seen.newest)

    @cached_property
    def changes(self) -> tuple[Transition, ...]:
        """Every change of verdict that is known: those that were narrowed, and the releases'."""
        narrowed = {(one.last.release, one.first.release): one for one in self.facts.transitions}
        if self.facts.timeline or not self.seen.timeline:
            return self.facts.transitions
        found = transitions(self.seen.timeline)
        made = tuple(narrowed.pop((t.last.release, t.first.release), t) for t in found)
        return self.facts.transitions if narrowed else made

    @cached_property
    def gaps(self) -> list[Gap]:
        """What is not known, and how to find out."""
        return wording.gaps(self.facts)

    @property
    def kind(self) -> str:
        """The strength of the rule; empty where there is none."""
        return self.facts.strength

    @cached_property
    def sentences(self) -> tuple[str, ...]:
        """What goes wrong, a sentence each; none for a script that only its author understands."""
        raised = self.seen.outcome.raised
        if self.facts.rules and raised is not None:
            return (f"Keras raises {raised}",)
        return self.facts.sentences if self.facts.rules else ()

    @property
    def subject(self) -> str:
        """What is routed: `output`, or `input` where nothing but inputs is."""
        return "input" if {one.part for one in self.facts.misroutes} == {"input"} else "output"

    @cached_property
    def routing(self) -> tuple[Row, ...]:
        """Output, what it should use, what it uses."""
        rows = []
        for one in self.facts.misroutes:
            part = wording.parts(one.part)
            used = "none" if one.source is None else f"{part} of {one.source!r}"
            rows.append(Row(one.output, f"{part} of {one.output!r}", used))
        return tuple(rows)

    @cached_property
    def numbers(self) -> tuple[Row, ...]:
        """What the script expected, and what it saw."""
        outcome = self.seen.outcome
        if isinstance(self.facts.case, Case):
            table = read_table(outcome.stdout)
            wrong = _wrong_lines(outcome.stdout)
            return tuple(
                Row(name, _number(want), _number(got), name in wrong)
                for name, (want, got) in table.items()
            )
        return tuple(_calls(outcome.stdout))

    @cached_property
    def sight(self) -> Sight:
        """What the script printed, and how it ended: nothing that is of this machine alone."""
        return _sight(self.seen.outcome)

    @property
    def environment(self) -> list[tuple[str, str]]:
        """What matters of where it was run."""
        return list(self.seen.environment.items())

    @property
    def timeline(self) -> tuple[Entry, ...]:
        """Every release, where they were tried."""
        return self.seen.timeline or self.facts.timeline

    @property
    def line(self) -> str:
        """The timeline as one line."""
        return line_of(self.timeline)

    @cached_property
    def otherwise(self) -> tuple[tuple[str, str], ...]:
        """What releases show that fail in another way: which, and how."""
        found: list[tuple[str, str, str]] = []
        for entry, before in zip(self.timeline, (None, *self.timeline), strict=False):
            if entry.verdict is not Verdict.DIFFERENT:
                continue
            detail = " ".join(entry.detail.split())
            goes_on = found and before is not None and before.verdict is Verdict.DIFFERENT
            if goes_on and found[-1][2] == detail:
                found[-1] = (found[-1][0], entry.build, detail)
            else:
                found.append((entry.build, entry.build, detail))
        spans = ((f"{a}-{b}" if a != b else a, detail) for a, b, detail in found)
        return tuple(spans)[:OTHERWISE]

    @cached_property
    def replay(self) -> list[str]:
        """Git commands that show the culprit, in a clone of Keras."""
        return list(_replay(self.facts, self.seen))

    @property
    def install(self) -> str:
        """The command that has pip put what the script needs into an environment; may be empty."""
        build = self.seen.build
        if not build[0].isdigit():
            return ""
        package = "keras-nightly" if ".dev" in build else "keras"
        rest = [] if self.facts.backend == "numpy" else [f" {self.facts.backend}"]
        return f"pip install {package}=={build}{''.join(rest)} numpy"

    @property
    def run(self) -> str:
        """The command that runs the script."""
        return f"KERAS_BACKEND={self.facts.backend} python {shlex.quote(self.name)}"

    @property
    def name(self) -> str:
        """What the script is called in commands."""
        return self.facts.script.filename.rpartition("/")[2] or "repro.py"

    @cached_property
    def again(self) -> list[str]:
        """The commands that make all of this again."""
        facts = self.facts
        ends = ""
        one = facts.introduced
        if one is not None and one.before is Verdict.GOOD and one.last.release:
            ends = f" --good {one.last.release} --bad {one.first.release}"
        narrow = f"keras-repro bisect {shlex.quote(self.name)}{ends}"
        if facts.command.startswith("keras-repro hunt"):
            return [facts.command, *([narrow] if ends else [])]
        return [facts.command or narrow]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def _wrong_lines(stdout: str) -> set[str]:
    marked = "\n".join(line for line in stdout.splitlines() if line.rstrip().endswith("<- wrong"))
    return set(read_table(marked))


_CALL: Final = re.compile(
    r"^(?P<call>\S.*)\n  expected (?P<want>.*)\n  observed (?P<got>.*)$", re.M
)


def _calls(stdout: str) -> Iterator[Row]:
    """The calls of a script of `keras.tree`, as it prints them."""
    for found in _CALL.finditer(stdout):
        want, got = found["want"], found["got"]
        yield Row(found["call"], want, got, want != got)


def _sight(outcome: Outcome) -> Sight:
    text = re.sub("\x1b\\[[0-9;?]*[A-Za-z]", "", outcome.stdout)
    # A bar of progress draws over itself: its last state is what is left on the screen.
    lines = [line.rstrip("\r").rpartition("\r")[2].replace("\b", "") for line in text.split("\n")]
    lines = [line.rstrip() for line in lines]
    while lines and not lines[-1]:
        lines.pop()
    if outcome.raised is not None:
        lines += [f"{frame}" for frame in _frames(outcome)]
        message = outcome.raised.message.splitlines() or [""]
        lines += [f"{outcome.raised.type}: {message[0]}".rstrip(": "), *message[1:]]
    shown = [
        line if len(line) <= OUTPUT_COLUMNS else line[: OUTPUT_COLUMNS - 1] + "…" for line in lines
    ]
    if len(shown) <= OUTPUT_LINES:
        return Sight(tuple(shown))
    half = OUTPUT_LINES // 2
    return Sight((*shown[:half], "…", *shown[-half:]), len(shown) - 2 * half)


def _frames(outcome: Outcome) -> Iterator[str]:
    raised = outcome.raised
    assert raised is not None
    if raised.line is not None:
        yield f"Traceback: line {raised.line} of the script"
    for frame in raised.frames:
        yield f"  keras/{frame}"


def _replay(facts: Facts, seen: Seen) -> Iterator[str]:
    one = facts.introduced
    if one is None or one.culprit is None or one.last.commit is None:
        return
    script = "/path/to/" + (facts.script.filename.rpartition("/")[2] or "repro.py")
    run = f"env KERAS_BACKEND={facts.backend} PYTHONPATH=. python {shlex.quote(script)}"
    before, after = (AS_GIT_SEES_IT[verdict] for verdict in (one.before, one.after))
    yield f"git checkout --detach {one.culprit.sha}"
    yield f"{run}   # {after}"
    yield f"git checkout --detach {one.last.commit}"
    yield f"{run}   # {before}"
    ends = _tried(seen) if one.before is Verdict.GOOD else None
    if ends is not None:
        yield f"git bisect start {' '.join(ends)}"
        yield f"git bisect run {run}"


def _tried(seen: Seen) -> tuple[str, str] | None:
    """A bad and a good commit, as far apart as the search tried them.

    Not the tags of the releases: what was tagged is not always what was released.
    """
    steps = [step for stage in seen.stages if stage.kind == "commits" for step in stage.steps]
    bad = [step for step in steps if step.verdict in (Verdict.BAD, Verdict.DIFFERENT)]
    good = [step for step in steps if step.verdict is Verdict.GOOD]
    if not bad or not good:
        return None
    ends = (max(bad, key=lambda step: step.place), min(good, key=lambda step: step.place))
    return ends[0].build.removeprefix("git:"), ends[1].build.removeprefix("git:")
