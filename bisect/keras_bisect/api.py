"""The library: date a failure, from the verdict of every release down to the file that caused it.

    with open_lab() as lab:
        result = bisect(lab, Script.read(path), good="3.4.1", bad="3.5.0")

Nothing here prints or exits; what happens is told to the lab's listener.

Public: `bisect`, `timeline`, `git_log`, `untouched`, `Bisected`, `Timeline`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from keras_bisect.builds.build import Build
from keras_bisect.builds.index import NoSuchNightly
from keras_bisect.errors import Inconclusive, UsageError
from keras_bisect.events import Stage
from keras_bisect.history.gitlog import Step, bisect_log
from keras_bisect.lab import Lab, ScriptWrites
from keras_bisect.outcome import Outcome, Tree
from keras_bisect.probe.prober import Script
from keras_bisect.search.commits import check_suspects
from keras_bisect.search.ends import Ends, Recognise, find_ends
from keras_bisect.search.narrow import Grain
from keras_bisect.search.session import asked, written_down
from keras_bisect.search.stages import narrow_between
from keras_bisect.search.trial import Hints, Repeat
from keras_bisect.transitions import Entry, Transition, reference, transitions
from keras_bisect.verdict import Judged, Match, Signature, Verdict, first_look, judge, learn

__all__ = ["Bisected", "Timeline", "bisect", "git_log", "timeline", "untouched"]

T = TypeVar("T")


@dataclass(frozen=True)
class Timeline:
    """The verdict of every build in order."""

    entries: tuple[Entry, ...]
    transitions: tuple[Transition, ...]
    signature: Signature | None
    """What was judged by; None where no build fails."""


def timeline(
    lab: Lab,
    script: Script,
    builds: Sequence[Build] | None = None,
    *,
    tree: Tree = "optree",
    signature: Signature | None = None,
) -> Timeline:
    """The verdict of every build on one failure.

    Args:
        lab: what probes.
        script: exits 0, 1 or 125.
        builds: in order; all releases by default.
        tree: the tree implementation.
        signature: the failure; by default the one that most of the builds show.
    """
    builds = lab.index.releases() if builds is None else builds
    lab.listener(Stage(f"{len(builds)} builds", len(builds)))
    return judged_timeline(list(lab.table(script, builds, tree).items()), signature)


def judged_timeline(
    outcomes: Sequence[tuple[str, Outcome]], signature: Signature | None
) -> Timeline:
    """Outcomes in order, judged. Pure."""
    signature = signature or reference([outcome for _, outcome in outcomes])

    def look(outcome: Outcome) -> Judged:
        return first_look(outcome) if signature is None else judge(outcome, signature)

    judged = [(name, look(outcome)) for name, outcome in outcomes]
    entries = tuple(Entry(name, one.verdict, one.detail) for name, one in judged)
    return Timeline(entries, tuple(transitions(entries)), signature)


@dataclass(frozen=True)
class Bisected:
    """The changes that were narrowed."""

    transitions: tuple[Transition, ...]
    signature: Signature
    good: Build
    bad: Build
    log: tuple[Entry, ...]
    """Every verdict, in the order in which it became known."""
    probes: int
    seconds: float
    to: Grain = Grain.FILE
    """How far it was to be narrowed."""

    @property
    def ambiguous(self) -> bool:
        """Whether a change could not be narrowed to two neighbours, or to commits if only asked."""
        no_commit = self.to is Grain.COMMIT and any(
            not one.first.commit for one in self.transitions
        )
        return no_commit or any(one.between for one in self.transitions)


def bisect(
    lab: Lab,
    script: Script,
    *,
    good: Build | str | None = None,
    bad: Build | str | None = None,
    to: Grain = Grain.FILE,
    tree: Tree = "optree",
    match: Match = Match(),  # noqa: B008 - frozen
    recognise: Recognise | None = None,
    find_fix: bool = False,
    every_change: bool = False,
    suspects: Sequence[str] = (),
    repeat: Repeat = Repeat(),  # noqa: B008 - frozen
    journal: Path | None = None,
    resume: bool = False,
) -> Bisected:
    """Narrow the change between a good and a bad build.

    Args:
        lab: what probes.
        script: exits 0, 1 or 125.
        good: a build where it passes; by default, older releases are tried until one passes.
        bad: a build where it fails; the newest release by default. It may be older than `good`:
            then the change that fixed the failure is looked for.
        to: how far to narrow.
        tree: the tree implementation.
        match: what another failure must have in common with that of the bad end to be the same.
        recognise: learns the failure from an outcome in another way than by `match`.
        find_fix: without `good` or `bad`: the bad build is the older one.
        every_change: narrow every change between the ends, not only those that separate them.
        suspects: commits (as git knows them) or files of Keras that are tried first.
        repeat: how often the script is run under one build.
        journal: a file to which every probe is appended as it ends.
        resume: go on with the same search in that file, if it was interrupted.

    Raises:
        UsageError: the ends are the same build, there is no such build or suspect, or the journal
            holds another search.
        NotReproduced: an end is not what it was said to be.
        Inconclusive: an end cannot be tested.
        HarnessError: the harness failed; what was probed until then is kept.
    """
    start, probes = time.monotonic(), lab.probes
    if to is Grain.COMMIT and lab.repository is None:
        raise UsageError("Commits need the Keras repository. Name a clone of it with --repo.")
    if to >= Grain.COMMIT and lab.repository is not None:
        # It may take minutes, the first time, and goes on while other builds are probed.
        lab.repository.start()
    hints = Hints(suspects=tuple(suspects))
    check_suspects(lab, suspects)
    options = {
        "to": to.name.lower(),
        "match": str(match) if recognise is None else "case",
        "find-fix": str(find_fix),
        "all": str(every_change),
        "suspect": " ".join(suspects),
        "repeat": str(repeat.runs or "auto"),
        "confidence": str(repeat.confidence),
    }
    ends_asked = (_full_name(lab, good), _full_name(lab, bad))
    run = asked(lab, "bisect", script, ends_asked, tree, options)
    with written_down(lab, run, journal, go_on=resume) as written:

        def attempt() -> tuple[Ends, list[Transition]]:
            found = find_ends(
                lab,
                script,
                good,
                bad,
                recognise=recognise or (lambda outcome: learn(outcome, match)),
                tree=tree,
                find_fix=find_fix,
                repeat=repeat,
                hints=hints,
                since=written.since,
            )
            return found, narrow_between(found.trial, found.good, found.bad, to, every_change)

        ends, narrowed = untouched(attempt, written.again)
        result = Bisected(
            tuple(narrowed),
            ends.trial.signature,
            ends.good,
            ends.bad,
            tuple(ends.trial.log),
            lab.probes - probes,
            time.monotonic() - start,
            to,
        )
        written.answer(Inconclusive.exit_code if result.ambiguous else 0, narrowed)
    return result


def _full_name(lab: Lab, end: Build | str | None) -> str | None:
    """What an end means today: `nightly` is another build tomorrow."""
    if isinstance(end, str):
        try:
            return lab.resolve(end).name
        except NoSuchNightly:
            return end
    return None if end is None else end.name


def untouched(attempt: Callable[[], T], again: Callable[[], None] = lambda: None) -> T:
    """Do something that probes; once more if the script turned out to write into Keras.

    Args:
        attempt: what is done.
        again: called before it is done once more.
    """
    try:
        return attempt()
    except ScriptWrites:
        again()
        return attempt()


def git_log(lab: Lab, result: Bisected) -> str:
    """The search of commits as a log for `git bisect replay`.

    Raises:
        UsageError: no commit was tested.
    """
    repository = lab.repository
    named = [entry for entry in result.log if re.fullmatch("git:[0-9a-f]{40}", entry.build)]
    found = next((one for one in result.transitions if one.first.commit), None)
    if repository is None or found is None or not named:
        raise UsageError("No commit was tested, so there is no log for git: see the notes above.")
    steps = [
        Step(repository.resolve(one.build.removeprefix("git:")), one.verdict, one.detail)
        for one in named
    ]
    by_date = sorted(steps, key=lambda step: step.commit.commit_date)
    old = next(step.commit for step in by_date if step.verdict is found.before)
    new = next(step.commit for step in reversed(by_date) if step.verdict is found.after)
    fixed = found.after is Verdict.GOOD
    culprit = repository.resolve(found.culprit.sha) if found.culprit else None
    return bisect_log(
        new if fixed else old,
        old if fixed else new,
        steps,
        culprit,
        fixed=fixed,
        is_ancestor=repository.is_ancestor,
        brought=repository.brought(culprit) if culprit else (),
    )
