"""What a person sees: progress, and a summary that fits a screen. Writes text, decides nothing.

Progress goes to standard error: one line that changes on a terminal, plain lines otherwise. Results
go to standard output.

Public: `Progress`, `bisect_summary`, `hunt_summary`, `timeline_summary`, `transition_lines`.
"""

from __future__ import annotations

import shlex
import shutil
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING

from keras_bisect.events import Began, Ended, Judgement, Learned, Narrowed, Notice, Probed, Stage
from keras_bisect.search.commits import NO_COMMITS
from keras_bisect.transitions import SYMBOLS, Entry, Place, Tally, Transition, line_of
from keras_bisect.verdict import NO_IMPORT, Failure, Signature, Verdict
from keras_bisect.wording import counted, cut, short

if TYPE_CHECKING:
    from keras_bisect.api import Bisected
    from keras_bisect.events import Event
    from keras_repro.find import Searched
    from keras_repro.hunted import Hunt, Hunted

__all__ = ["Progress", "bisect_summary", "hunt_summary", "timeline_summary", "transition_lines"]

SHOWN = 4
"""Names in one line."""
WIDTH = 100
"""Of the line that changes, at most."""


class Progress:
    """A listener that shows where the work stands."""

    def __init__(self) -> None:
        """Write to standard error."""
        self._terminal = sys.stderr.isatty()
        # A longer line would wrap, and what is written over it would leave its beginning.
        self._width = max(20, min(WIDTH, shutil.get_terminal_size().columns - 1))
        self._lock = threading.Lock()
        self._start = time.monotonic()
        self._stage = ""
        self._total: int | None = None
        self._done = 0
        self._took: deque[float] = deque(maxlen=20)
        self._range = ""
        self._shown = ""
        self._last = 0.0
        self._noticed: set[str] = set()

    def __enter__(self) -> Progress:
        """The listener itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave a clean line."""
        with self._lock:
            self._write("", now=True)

    def __call__(self, event: Event | Searched) -> None:
        """Show an event."""
        with self._lock:
            match event:
                case Stage(name, total):
                    self._stage, self._total, self._done = name, total, 0
                    self._line(name)
                    self._range = ""
                case Notice(text) if text not in self._noticed:
                    # That there is no network is as true of the next finding, and no news.
                    self._noticed.add(text)
                    self._line(text)
                case Notice():
                    pass
                case Probed(build=build, outcome=outcome):
                    self._done += 1
                    self._took.append(outcome.seconds)
                    of = f"/{self._total}" if self._total else ""
                    self._write(self._range or f"{self._stage}: {self._done}{of} probes, {build}")
                case Judgement(build, judged):
                    self._write(f"{self._range or self._stage}  {build} {judged.verdict}")
                case Narrowed(last, first, builds, steps):
                    self._range = (
                        f"{last} … {first}: {counted(builds, 'build')}, "
                        f"{counted(steps, 'step')} left{self._time_left(steps)}"
                    )
                    self._write(self._range)
                case Began() | Ended():
                    pass
                case Learned(signature):
                    self._line(cut(f"the failure: {failure_of(signature)}", 160))
                case _:
                    said = f"{event.examples} cases, {event.findings} findings"
                    if event.shrunk:
                        said += f", {event.shrunk} shrunk"
                    if event.rate:
                        said += f", {event.rate:.0f} a second"
                    self._write(f"{self._stage}: {said}")

    def _time_left(self, steps: int) -> str:
        """About how long some more probes take, one after the other."""
        if not steps or not self._took:
            return ""
        return f", {steps * sum(self._took) / len(self._took):.0f} s"

    def _line(self, text: str) -> None:
        """A line that stays."""
        self._write("", now=True)
        sys.stderr.write(f"[{time.monotonic() - self._start:6.1f} s] {short(text)}\n")
        sys.stderr.flush()

    def _write(self, text: str, *, now: bool = False) -> None:
        """A line that the next one replaces; only where a person looks at a terminal."""
        if not self._terminal or (not now and time.monotonic() - self._last < 0.1):
            return
        self._last = time.monotonic()
        text = cut(short(text), self._width)
        sys.stderr.write("\r" + text.ljust(len(self._shown)) + ("\r" if not text else ""))
        sys.stderr.flush()
        self._shown = text


def hunt_summary(hunt: Hunt, *, shown: int = 1) -> str:
    """What was found: the first findings whole, the others a line each."""
    if not hunt.findings:
        end = f" {_end(hunt).capitalize()}." if hunt.early else ""
        return (
            f"Keras {hunt.keras}: nothing found in {hunt.examples} cases (seed {hunt.seed}).{end}\n"
        )
    count = len(hunt.findings)
    lines = [
        f"Keras {hunt.keras}: {count} finding{'s' * (count > 1)} in {hunt.examples} cases, "
        f"seed {hunt.seed}, {hunt.seconds:.0f} s" + (f", {_end(hunt)}" if hunt.early else ""),
        *_spent(hunt),
        "",
    ]
    for hunted in hunt.findings[:shown]:
        lines += _whole(hunted)
    if count > shown:
        lines += ["", "also:"]
        causes = hunt.causes()
        for place, hunted in enumerate(hunt.findings[shown:], shown):
            # Of the findings of one cause the first stands for all.
            again = causes.index(causes[place]) + 1
            lines.append(_short(hunted, place + 1, again if again <= place else None))
    first = hunt.findings[0]
    script = shlex.quote(_near(first.script_file))
    lines += ["", "run it:    python " + script]
    for last, first_bad in _ends(first):
        lines.append(f"go on:     keras-repro bisect {script} --good {last} --bad {first_bad}")
    return "\n".join(lines) + "\n"


def _end(hunt: Hunt) -> str:
    return "interrupted" if hunt.interrupted else "ended by a fault"


def _whole(hunted: Hunted) -> Iterator[str]:
    from keras_repro.contract import rule

    reading = hunted.finding.reading
    for sentence in reading.sentences:
        yield f"  {sentence}"
    for one in reading.rules:
        promise = rule(one)
        # A rule is no stronger than what the case rests on beside it.
        strength = promise.strength if reading.strength == "contract" else reading.strength
        yield f"  breaks {one} ({strength}): {promise.sentence}"
    if reading.doubts:
        yield f"  rests on   {', '.join(reading.doubts)}"
    verdicts = ", ".join(f"{t} {one.verdict}" for t, one in hunted.finding.trees.items())
    yield f"  trees      {verdicts}"
    if reading.faults:
        yield "  routing    " + "   ".join(
            f"{output} ← {other or 'nothing'} ({fault.component})"
            for fault in reading.faults
            for output, other in fault.went
        )
    if hunted.finding.condition is not None:
        yield f"  when       {hunted.finding.condition}"
    if hunted.entries:
        yield f"  releases   {line_of(hunted.entries)}"
    for line in transition_lines(hunted.transitions):
        yield f"  {line}"
    yield f"  files      {_near(hunted.folder)}/: {', '.join(_files(hunted.folder))}"


def _spent(hunt: Hunt) -> Iterator[str]:
    """What was not run, and how fast the rest went; nothing where there is nothing to say."""
    said = [f"{hunt.rate:.0f} cases a second"] if hunt.rate else []
    if hunt.avoided:
        said.append(f"{hunt.avoided} more not run, as it is known how they fail")
    if hunt.replayed:
        said.append(f"{hunt.replayed} of earlier searches tried first")
    if said:
        yield "  " + ", ".join(said)


def _short(hunted: Hunted, number: int, same: int | None) -> str:
    finding = hunted.finding
    rule = finding.reading.rules[0]
    signature = finding.reading.signature.removeprefix(f"{rule} ")
    line = (
        f"{number:3} {rule:>3}  {cut(signature, 58):58}  {_bad_in(hunted.entries):22}  "
        f"{hunted.slug[-6:]}"
    )
    about = [f"when {finding.condition}"] if finding.condition is not None else []
    about += [f"perhaps one cause with {same}"] if same else []
    return line + (f"\n{'':9}{cut('; '.join(about), 90)}" if about else "")


def _bad_in(entries: Sequence[Entry]) -> str:
    """The releases that show a failure, as ranges."""
    runs = line_of(entries).split("  ") if entries else []
    return ", ".join(run[2:] for run in runs if run.startswith(SYMBOLS[Verdict.BAD]))


def transition_lines(transitions: Sequence[Transition]) -> Iterator[str]:
    """Transitions in order, each as a few lines; what is noted of several is said once."""
    told: set[str] = set()
    releases = [(one.last.release, one.first.release) for one in transitions]
    for place, one in enumerate(transitions):
        # Of several changes between two releases, only the outer ones lead to a release.
        begun = place > 0 and releases[place - 1] == releases[place]
        goes_on = releases[place + 1 : place + 2] == [releases[place]]
        last = one.last.finest if begun else one.last.coarsest
        first = one.first.finest if goes_on else one.first.coarsest
        change = f"{last} {one.before} → {first} {one.after}"
        yield from map(short, _transition(one, change, told))
        told |= set(one.notes)


def _transition(transition: Transition, change: str, told: Set[str]) -> Iterator[str]:
    last, first = transition.last, transition.first
    yield f"{transition.kind:10} {change}"
    if last.nightly and first.nightly and (last.release or first.release):
        yield f"{'':10} nightly {last.nightly} → {first.nightly}"
    if culprit := transition.culprit:
        yield f"{'':10} commit  {culprit.sha} {culprit.date[:10]} {culprit.subject}"
        if culprit.link:
            yield f"{'':10} link    {culprit.link}"
        if culprit.files and culprit.files != transition.files:
            yield f"{'':10} touches {_some(culprit.files)}"
    elif last.commit and first.commit:
        yield f"{'':10} commits {last.commit} → {first.commit}"
    if transition.files:
        yield f"{'':10} file    {', '.join(transition.files)}"
    if transition.confidence < 1:
        yield f"{'':10} sure    {transition.confidence:.1%}"
        around = {last.finest, first.finest}
        for one in transition.tallies:
            if one.build.removeprefix("git:") in around:
                yield f"{'':10} runs    {one.build}: {_counted(one)}"
    if any(entry.posterior is not None for entry in transition.between):
        for entry in sorted(transition.between, key=lambda one: -(one.posterior or 0))[:8]:
            yield f"{'':10} suspect {entry.build} {entry.posterior or 0:.1%}"
    elif transition.between:
        names = [entry.build for entry in transition.between]
        reason = cut(transition.between[0].detail, 80)
        yield f"{'':10} not testable between: {_some(names, 'builds')} ({reason})"
    for note in transition.notes:
        if note not in told:
            yield f"{'':10} note    {note}"


def _some(names: Sequence[str], what: str = "files") -> str:
    """The first names, and how many there are if there are more."""
    more = f", … ({len(names)} {what})" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def failure_of(signature: Signature) -> str:
    """The failure that is followed; where its message says nothing, with its place."""
    place = signature.frame if isinstance(signature, Failure) else ""
    return f"{signature} ({place})" if place else str(signature)


def _counted(tally: Tally) -> str:
    return ", ".join(f"{verdict} {count}" for verdict, count in tally.verdicts.items())


def bisect_summary(
    result: Bisected, subject: Path, options: Sequence[str] = (), typed: Sequence[str] = ()
) -> str:
    """What a bisect found, and how to go on where it stopped.

    Args:
        result: what it found.
        subject: the script or case, as it was named.
        options: what else was asked for, but for the ends.
        typed: all that was asked for.
    """
    again = ["keras-repro", "bisect", _near(subject), *options]
    lines = [cut(f"failure    {failure_of(result.signature)}", 160)]
    lines += transition_lines(result.transitions)
    for transition in result.transitions:
        last, first = transition.last, transition.first
        if any(note.startswith(NO_COMMITS) for note in transition.notes):
            good, bad = _build_of(last), _build_of(first)
            if transition.kind == "fixed":
                good, bad = bad, good
            elif transition.kind == "changed":
                # Neither is good. What is known on the way costs nothing.
                good, bad = result.good.name, result.bad.name
            line = (
                f"go on:     {shlex.join(again)} --good {good} --bad {bad} "
                "--repo CLONE    (a clone of the Keras repository)"
            )
            if line not in lines:
                lines.append(line)
    untested = [entry for one in result.transitions for entry in one.between]
    if any(NO_IMPORT in entry.detail for entry in untested) and "--era" not in typed:
        command = shlex.join(["keras-repro", "bisect", _near(subject), *typed, "--era"])
        lines.append(f"go on:     {command}    (environments of their time, made by uv)")
    return "\n".join([*lines, f"{result.probes} probes, {result.seconds:.1f} s"]) + "\n"


def _build_of(place: Place) -> str | None:
    """One side of a transition as a person writes it."""
    return f"git:{place.commit}" if place.commit else place.finest


def timeline_summary(entries: Sequence[Entry], transitions: Sequence[Transition]) -> str:
    """Every build's verdict, then where it changes."""
    width = max((len(entry.build) for entry in entries), default=0)
    lines = [f"{e.build:{width}}  {e.verdict:10}  {e.detail}" for e in entries]
    lines = [cut(line, 160).rstrip() for line in lines]
    lines += ["", line_of(entries)]
    lines += transition_lines(transitions)
    return "\n".join(lines) + "\n"


def _ends(hunted: Hunted) -> Iterator[tuple[str, str]]:
    for one in hunted.transitions:
        if one.kind == "introduced" and one.last.release and one.first.release:
            yield one.last.release, one.first.release
            return


def _near(path: Path) -> str:
    """A path as short as it can be written from here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
