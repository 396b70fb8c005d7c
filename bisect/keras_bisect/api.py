"""The library: date a failure, from the verdict of every release down to the file that caused it.

    with Prober() as prober, Store(cache) as store, Lab(Index(cache), store, prober) as lab:
        result = bisect(lab, Script.read(path), good=lab.resolve("3.4.1"), bad=lab.resolve("3.5.0"))

Nothing here prints or exits; what happens is told to the lab's listener.

Public: `bisect`, `timeline`, `date`, `Bisected`, `Timeline`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from keras_bisect.build import Build
from keras_bisect.content import changed
from keras_bisect.errors import Inconclusive, NotReproduced, UsageError
from keras_bisect.events import Notice, Stage
from keras_bisect.lab import Lab
from keras_bisect.narrow import Grain, Narrower
from keras_bisect.outcome import Outcome, Tree
from keras_bisect.probe import Script
from keras_bisect.timeline import Entry, Place, Transition, kind_of, reference, transitions
from keras_bisect.verdict import Judged, Signature, Verdict, first_look, judge, learn

__all__ = ["Bisected", "Timeline", "bisect", "date", "timeline"]

FILES_LIMIT = 80
"""Where nightlies do not help: changed files between two releases that are tried one by one."""


@dataclass(frozen=True)
class Timeline:
    """The verdict of every build in order."""

    entries: tuple[Entry, ...]
    transitions: tuple[Transition, ...]
    signature: Signature | None
    """What was judged by; None where no build fails."""


@dataclass(frozen=True)
class Bisected:
    """The changes that were narrowed."""

    transitions: tuple[Transition, ...]
    signature: Signature
    probes: int
    seconds: float


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
    outcomes = {build.name: outcome for _, build, outcome in lab.outcomes([script], builds, tree)}
    return judged_timeline([(b.name, outcomes[b.name]) for b in builds], signature)


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


def bisect(
    lab: Lab,
    script: Script,
    *,
    good: Build | None = None,
    bad: Build | None = None,
    to: Grain = Grain.FILE,
    tree: Tree = "optree",
    signature: Signature | None = None,
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
        signature: the failure; by default the one that `bad` shows.

    Raises:
        UsageError: commits are asked for, and the lab has no repository.
        NotReproduced: the bad end does not fail, or the good end does not pass.
        Inconclusive: an end cannot be tested.
    """
    if to is Grain.COMMIT and lab.repository is None:
        raise UsageError("Commits need a clone of the Keras repository. Give one with --repo.")
    start, probes = time.monotonic(), lab.probes
    bad = bad or lab.index.releases()[-1]
    lab.listener(Stage("both ends"))
    lab.prefetch([bad, *([good] if good else [])])
    found = {
        build.name: outcome
        for _, build, outcome in lab.outcomes([script], [bad, *([good] if good else [])], tree)
    }
    passing = found.get(good.name) if good else None
    signature = _learned(bad, found[bad.name], good, passing, signature)
    narrower = Narrower(lab, script, signature, tree)
    if good is None:
        good = _gallop(lab, narrower, bad)
    else:
        _passes(good, judge(found[good.name], signature))
    narrowed = _between(lab, narrower, good, bad, to)
    return Bisected(tuple(narrowed), signature, lab.probes - probes, time.monotonic() - start)


def date(
    lab: Lab, narrower: Narrower, transition: Transition, builds: Mapping[str, Build], to: Grain
) -> list[Transition]:
    """Narrow one transition between two releases as far as `to`.

    Args:
        lab: what probes.
        narrower: of the script and the failure.
        transition: between two of `builds`.
        builds: releases by name.
        to: how far to narrow.
    """
    last, first = builds[transition.last.release or ""], builds[transition.first.release or ""]
    return _finer(lab, narrower, transition, last, first, to)


def _learned(
    bad: Build,
    failing: Outcome,
    good: Build | None,
    passing: Outcome | None,
    signature: Signature | None,
) -> Signature:
    learned = signature or learn(failing)
    seen = first_look(failing)
    if learned is not None and (
        signature is None or judge(failing, learned).verdict is Verdict.BAD
    ):
        return learned
    if seen.verdict is Verdict.UNTESTABLE:
        raise Inconclusive(f"The bad end, {bad}, cannot be tested: {seen.detail}.")
    if seen.verdict is Verdict.BAD:
        raise NotReproduced(f"The bad end, {bad}, fails in another way: {seen.detail}.")
    if good is not None and passing is not None and first_look(passing).verdict is Verdict.BAD:
        raise NotReproduced(
            f"The ends are swapped: {bad}, given as bad, passes, and {good}, given as good, fails "
            f"({first_look(passing).detail}). Run again with --good {bad} --bad {good}."
        )
    raise NotReproduced(f"The bad end, {bad}, passes. Give a build that fails with --bad.")


def _passes(good: Build, judged: Judged) -> None:
    if judged.verdict is Verdict.GOOD:
        return
    if judged.verdict is Verdict.UNTESTABLE:
        raise Inconclusive(f"The good end, {good}, cannot be tested: {judged.detail}.")
    how = "fails as the bad end does" if judged.verdict is Verdict.BAD else "fails in another way"
    raise NotReproduced(
        f"The good end, {good}, {how}: {judged.detail}. Give a build that passes with --good, or "
        "leave it out to have one looked for."
    )


def _gallop(lab: Lab, narrower: Narrower, bad: Build) -> Build:
    """The nearest passing release before a bad build, looked for in growing steps."""
    made = bad.made
    older = [
        build
        for build in lab.index.releases()
        if (bad.version is not None and build.version is not None and build.version < bad.version)
        or (bad.version is None and (made is None or build.made is None or build.made < made))
    ]
    lab.listener(Stage(f"a good release before {bad}"))
    step, position = 1, len(older) - 1
    seen: list[str] = []
    while position >= 0:
        verdict = narrower.verdict(older[position])
        seen.append(f"{older[position]} {verdict}")
        if verdict is Verdict.GOOD:
            return older[position]
        if position == 0:
            break
        position = max(0, position - step)
        step *= 2
    tried = ", ".join(seen) or "there is none"
    raise NotReproduced(f"No release before {bad} passes ({tried}). Give one with --good.")


def _between(lab: Lab, narrower: Narrower, good: Build, bad: Build, to: Grain) -> list[Transition]:
    if good.name == bad.name:
        raise UsageError(f"{good} is given as good and as bad. Give two builds.")
    releases = lab.index.releases()
    if good.kind == bad.kind == "release":
        places = {build.name: index for index, build in enumerate(releases)}
        low, high = sorted((good, bad), key=lambda build: places[build.name])
        before, after = _verdicts(low, good)
        line = releases[places[low.name] : places[high.name] + 1]
        lab.listener(Stage(f"releases between {low} and {high}"))
        found = []
        for change, between in narrower.bisect(line, before, after):
            last, first = line[change.last], line[change.first]
            transition = Transition(
                kind_of(change.before, change.after),
                change.before,
                change.after,
                Place(release=last.name),
                Place(release=first.name),
                between=between,
            )
            found += _finer(lab, narrower, transition, last, first, to)
        return found
    low, high = good, bad
    if good.kind == bad.kind == "commit" and lab.repository is not None:
        one, other = (lab.repository.resolve(b.name.removeprefix("git:")) for b in (good, bad))
        if lab.repository.is_ancestor(other, one):
            low, high = bad, good
    elif good.made is not None and bad.made is not None:
        low, high = sorted((good, bad), key=lambda build: build.made)  # type: ignore[arg-type, return-value]
    before, after = _verdicts(low, good)
    transition = Transition(kind_of(before, after), before, after, _place(low), _place(high))
    return _finer(lab, narrower, transition, low, high, to)


def _verdicts(low: Build, good: Build) -> tuple[Verdict, Verdict]:
    if low.name == good.name:
        return Verdict.GOOD, Verdict.BAD
    return Verdict.BAD, Verdict.GOOD


def _place(build: Build) -> Place:
    if build.kind == "release":
        return Place(release=build.name)
    return Place(nightly=build.name) if build.kind == "nightly" else Place()


def _finer(
    lab: Lab, narrower: Narrower, transition: Transition, last: Build, first: Build, to: Grain
) -> list[Transition]:
    if to < Grain.NIGHTLY:
        return [transition]
    if last.kind == first.kind == "commit":
        found = narrower.commits(transition, last, first)
    elif last.made is None or first.made is None:
        # A folder or the installed Keras: there is nothing between it and another but files.
        return [narrower.files(transition, last, first)] if to >= Grain.FILE else [transition]
    else:
        found = narrower.nightlies(transition, last, first)
        nightlies = {build.name: build for build in lab.index.nightlies()}
        if to >= Grain.COMMIT and (lab.repository is not None or to == Grain.COMMIT):
            found = [
                finer
                for one in found
                for finer in (
                    narrower.commits(one, nightlies[one.last.nightly], nightlies[one.first.nightly])
                    if one.last.nightly and one.first.nightly
                    else [one]
                )
            ]
    if to < Grain.FILE:
        return found
    finest = []
    for one in found:
        if one.last.commit and one.first.commit:
            ends = (Build("commit", f"git:{side.commit}") for side in (one.last, one.first))
            finest.append(narrower.files(one, *ends))
            continue
        if one.last.nightly and one.first.nightly:
            finest.append(
                narrower.files(one, nightlies[one.last.nightly], nightlies[one.first.nightly])
            )
            continue
        before, after = lab.source(last), lab.source(first)
        if (count := len(changed(before.files, after.files))) <= FILES_LIMIT:
            finest.append(narrower.files(one, last, first))
        else:
            lab.listener(Notice(f"{count} files changed between {last} and {first}: not tried."))
            finest.append(one)
    return finest
