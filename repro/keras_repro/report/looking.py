"""What a report must see with its own eyes, on the day it is written.

What an issue shows has been run: the script in a fresh interpreter under the first bad build, the
nearest case that passes, the newest release and the newest nightly. Nothing is taken from memory.

Public: `look`, `Seen`, `Stage`, `Step`, `FileDiff`.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from keras_bisect.builds.build import Build
from keras_bisect.builds.store import Source
from keras_bisect.errors import (
    BrokenBuild,
    KerasBisectError,
    NotCached,
    NotReproduced,
    Unreachable,
    UsageError,
)
from keras_bisect.history.repository import Repository
from keras_bisect.lab import Lab
from keras_bisect.outcome import Outcome
from keras_bisect.probe import environment
from keras_bisect.probe.prober import Prober
from keras_bisect.transitions import Entry, Place, Transition
from keras_bisect.verdict import Verdict, judge
from keras_repro.report.facts import Facts
from keras_repro.report.neighbour import Neighbour, nearest

__all__ = ["FileDiff", "Seen", "Stage", "Step", "look"]

ABSENT = (BrokenBuild, NotCached, Unreachable, UsageError)
PATIENCE = 120.0
"""Seconds that may be spent on releases that a bisect did not try."""
MARGIN = timedelta(days=7)
"""How far from the dates of two releases the nightlies between them are looked for."""
WIDEST = 60
"""Builds between two probes of one search, at most, where it is not known which search it was."""
DIFF_LINES = 400
"""Lines of a file's diff that are shown."""


@dataclass(frozen=True)
class FileDiff:
    """What a culprit changed in one file: unified, without its heading."""

    file: str
    lines: tuple[str, ...]
    left_out: int = 0
    """Lines that are not shown."""


@dataclass(frozen=True)
class Step:
    """One probe of a bisect."""

    order: int
    """From 1, over the whole search."""
    build: str
    verdict: Verdict
    seconds: float
    place: float
    """Where the build lies among those of its stage, from 0 (oldest) to 1."""
    runs: int = 1


@dataclass(frozen=True)
class Stage:
    """A part of a bisect: builds of one kind, narrowed to two neighbours."""

    kind: str
    """`releases`, `nightlies`, `commits` or `files`."""
    builds: int
    """How many there were to choose from."""
    steps: tuple[Step, ...]
    seconds: float
    ends: tuple[float, ...] | None = None
    """Where the two neighbours lie that it came down to."""


@dataclass(frozen=True)
class Seen:
    """What was seen when the report was written."""

    build: str
    """The build that was run."""
    outcome: Outcome
    neighbour: Neighbour | None
    newest: tuple[Entry, ...]
    """The newest release and nightly, where they were tried."""
    environment: Mapping[str, str]
    diffs: tuple[FileDiff, ...] = ()
    stages: tuple[Stage, ...] = ()
    timeline: tuple[Entry, ...] = ()
    """Every release."""


def look(lab: Lab, facts: Facts) -> Seen:
    """Run what a report shows.

    Args:
        lab: probes; its backend is that of the facts.
        facts: what is known.

    Raises:
        NotReproduced: the script does not show the failure any more.
        HarnessError: the build that shows it cannot be had.
    """
    if facts.bad is None:
        raise UsageError("No build is known to show the failure. There is nothing to report yet.")
    timeline = _timeline(lab, facts)
    builds = [lab.resolve(name) for name in dict.fromkeys(_shown(facts, timeline))]
    with _fresh(lab) as fresh:
        for build in builds:
            outcome = _run(lab, fresh, facts, build)
            verdict = judge(outcome, facts.signature)
            if verdict.verdict is not Verdict.BAD:
                raise NotReproduced(
                    f"Under {build} the script should fail as it did ({facts.failure}), and in a "
                    f"fresh interpreter it {verdict.detail}. Nothing was written; search again."
                )
        neighbour = nearest(lab, fresh, facts, [lab.source(build) for build in builds])
    return Seen(
        build=build.name,
        outcome=outcome,
        neighbour=neighbour,
        newest=_newest(lab, facts, timeline),
        environment=_environment(facts, build, outcome),
        diffs=tuple(_diffs(lab, facts)),
        stages=tuple(_stages(lab, facts)),
        timeline=timeline,
    )


def _shown(facts: Facts, timeline: Sequence[Entry]) -> Iterator[str]:
    """The builds that are looked at: the first that shows it, and the newest if that still does.

    What the last of them prints is what the report shows: it is what a maintainer has.
    """
    assert facts.bad is not None
    yield facts.bad
    if timeline and timeline[-1].verdict is Verdict.BAD:
        yield timeline[-1].build


@contextlib.contextmanager
def _fresh(lab: Lab) -> Iterator[Prober]:
    given = lab.prober
    with Prober(
        backend=given.backend,
        timeout=given.timeout,
        memory=given.memory,
        jobs=given.jobs,
        start="fresh",
    ) as prober:
        yield prober


def _run(lab: Lab, fresh: Prober, facts: Facts, build: Build) -> Outcome:
    outcome = fresh.run(facts.script, lab.source(build), facts.tree)
    if outcome.import_error is not None and lab.times is not None:
        # It does not import here at all; what makes it an environment of its time is the lab.
        return lab.outcome(facts.script, build, facts.tree)
    return outcome


# -- releases and nightlies ------------------------------------------------------------------------


def _timeline(lab: Lab, facts: Facts) -> tuple[Entry, ...]:
    """Every release, unless trying them all would take long."""
    if facts.timeline:
        return facts.timeline
    own = [one.event.outcome.seconds for one in facts.probes if one.event.same_as is None]
    releases = lab.index.releases()
    mean = sum(own) / len(own) if own else 1.0
    if mean * len(releases) / max(lab.prober.jobs, 1) > PATIENCE:
        return ()
    with contextlib.suppress(*ABSENT):
        outcomes = lab.table(facts.script, releases, facts.tree)
        judged = ((name, judge(one, facts.signature)) for name, one in outcomes.items())
        return tuple(Entry(name, one.verdict, one.detail) for name, one in judged)
    return ()


def _newest(lab: Lab, facts: Facts, timeline: Sequence[Entry]) -> tuple[Entry, ...]:
    """The newest release and nightly: is it still so?"""
    found: list[Entry] = []
    last = timeline[-1] if timeline else None
    releases = lab.index.releases()
    if last is not None and releases and last.build == releases[-1].name:
        found.append(last)
        if last.verdict is Verdict.GOOD:
            return tuple(found)
    wanted = list(releases[-1:]) if not found else []
    with contextlib.suppress(*ABSENT):
        wanted += lab.index.nightlies()[-1:]
    for build in wanted:
        with contextlib.suppress(*ABSENT):
            lab.source(build)
            one = judge(lab.outcome(facts.script, build, facts.tree), facts.signature)
            found.append(Entry(build.name, one.verdict, one.detail))
    return tuple(found)


def _environment(facts: Facts, build: Build, outcome: Outcome) -> dict[str, str]:
    known = environment.here(facts.backend, "fresh").facts
    keras = outcome.loaded.version if outcome.loaded else None
    named = build.name if keras in (None, build.name) else f"{keras} ({build.name})"
    wanted = {"Python": "Python", "platform": "platform"}
    found = {name: known[key] for name, key in wanted.items()}
    found["keras"] = named
    found["backend"] = facts.backend
    packages = (facts.backend, "optree", "dm-tree", "numpy")
    return found | {name: known[name] for name in packages if name in known}


# -- the culprit's files ---------------------------------------------------------------------------


def _diffs(lab: Lab, facts: Facts) -> Iterator[FileDiff]:
    """What changed in the files that flip the verdict, from the builds themselves."""
    one = facts.introduced
    if one is None or not one.files:
        return
    with contextlib.suppress(*ABSENT):
        old, new = (_source(lab, place) for place in (one.last, one.first))
        for file in one.files:
            yield _diff(file, _lines(old, file), _lines(new, file))


def _source(lab: Lab, place: Place) -> Source:
    names = (place.commit and f"git:{place.commit}", place.nightly, place.release)
    fault: KerasBisectError | None = None
    for name in names:
        if name:
            try:
                return lab.source(lab.resolve(name))
            except ABSENT as error:
                fault = error
    raise fault or UsageError("A transition has no builds.")


def _lines(source: Source, file: str) -> list[str]:
    try:
        return (source.path / file).read_text("utf-8", "replace").splitlines()
    except OSError:
        return []


def _diff(file: str, old: list[str], new: list[str]) -> FileDiff:
    lines = list(difflib.unified_diff(old, new, n=3, lineterm=""))[2:]
    return FileDiff(file, tuple(lines[:DIFF_LINES]), max(len(lines) - DIFF_LINES, 0))


# -- the funnel ------------------------------------------------------------------------------------

KINDS = ("releases", "nightlies", "commits", "files")


def _kind(build: str) -> str:
    if " with " in build:
        return "files"
    return "commits" if build.startswith("git:") else "nightlies" if ".dev" in build else "releases"


def _stages(lab: Lab, facts: Facts) -> Iterator[Stage]:
    """How the change that the report is about was narrowed, from the probes that were made."""
    change = facts.introduced or next(iter(facts.transitions), None)
    if change is None:
        return
    steps = _steps(facts)
    for kind in KINDS:
        mine = [step for step in steps if _kind(step.build) == kind]
        line, ends = _line(lab, kind, change, mine)
        ranks = {name: rank for rank, name in enumerate(line)}
        last = max(len(line) - 1, 1)
        placed = tuple(
            replace(step, place=ranks[step.build] / last) for step in mine if step.build in ranks
        )
        if placed:
            at = tuple(ranks[name] / last for name in ends if name in ranks)
            seconds = sum(step.seconds for step in placed)
            yield Stage(kind, len(line), placed, seconds, at if len(at) == 2 else None)


def _line(
    lab: Lab, kind: str, change: Transition, steps: Sequence[Step]
) -> tuple[list[str], list[str]]:
    """The builds of a kind that could be chosen, in order, and the two that it came down to."""
    names = [step.build for step in steps]
    last, first = change.last, change.first
    if kind == "releases":
        line = [build.name for build in lab.index.releases()]
        return line or names, [last.release or "", first.release or ""]
    if kind == "files":
        return [name for name in names if first.commit and name.endswith(first.commit)], []
    if kind == "nightlies":
        ends = [last.nightly or "", first.nightly or ""]
        return _around(lab, names, change), ends
    ends = [f"git:{last.commit}", f"git:{first.commit}"]
    if lab.repository is None or last.commit is None or first.commit is None:
        return [name for name in names if first.commit], ends
    return _commits(lab.repository, names, ends), ends


def _around(lab: Lab, probed: Sequence[str], change: Transition) -> list[str]:
    """The nightlies between the outermost that were probed, of those near the releases' dates.

    A search of another change has its probes in the same journal.
    """
    line = lab.index.nightlies()
    low, high = (
        next((b.made for b in lab.index.releases() if b.name == place.release), None)
        for place in (change.last, change.first)
    )
    near = [
        build
        for build in line
        if build.made
        and (low is None or build.made >= low - MARGIN)
        and (high is None or build.made <= high + MARGIN)
    ]
    ranks = [rank for rank, build in enumerate(near) if build.name in set(probed)]
    return [build.name for build in near[min(ranks) : max(ranks) + 1]] if ranks else []


def _commits(repository: Repository, probed: Sequence[str], ends: list[str]) -> list[str]:
    """The commits between the outermost that were probed, around the change, oldest first."""
    try:
        last, first = (repository.resolve(name.removeprefix("git:")) for name in ends)
        known = [repository.resolve(name.removeprefix("git:")) for name in probed]
        older = [(repository.count(c, last), c) for c in known if repository.is_ancestor(c, last)]
        newer = [(repository.count(first, c), c) for c in known if repository.is_ancestor(first, c)]
        low, high = (
            max(((n, c) for n, c in one if n <= WIDEST), key=lambda pair: pair[0])[1]
            for one in (older, newer)
        )
        return [f"git:{one.sha}" for one in repository.between(low, high)]
    except (KerasBisectError, ValueError):
        return [name for name in probed if name in ends]


def _steps(facts: Facts) -> list[Step]:
    """The probes, each build once, in the order of their first run."""
    found: dict[str, Step] = {}
    for probe in facts.probes:
        event = probe.event
        own = event.outcome.seconds if event.same_as is None else 0.0
        verdict = judge(event.outcome, facts.signature).verdict
        if event.build in found:
            before = found[event.build]
            # What was bad once is bad: a script that fails at random passes, too.
            bad = Verdict.BAD in (before.verdict, verdict)
            found[event.build] = replace(
                before,
                runs=before.runs + 1,
                seconds=before.seconds + own,
                verdict=Verdict.BAD if bad else before.verdict,
            )
        else:
            found[event.build] = Step(len(found) + 1, event.build, verdict, own, 0.0)
    return list(found.values())
