"""From two ends to an answer: which grain comes after which, for builds of every kind.

    releases → nightlies → commits → files          two releases
    releases → commits → files                      two patches of one release: on their branch
    commits → files                                 where an end is a commit
    files                                           where an end is a folder

Public: `narrow_between`, `date`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from keras_bisect.builds.build import Build
from keras_bisect.builds.content import changed
from keras_bisect.events import Notice, Stage
from keras_bisect.history.git import NotInRepository
from keras_bisect.lab import Lab
from keras_bisect.search.commits import narrow_to_commits, noted, older
from keras_bisect.search.line import Mistaken, changes, others
from keras_bisect.search.narrow import Grain, narrow_to_files, narrow_to_nightlies
from keras_bisect.search.trial import Trial
from keras_bisect.transitions import Place, Transition, kind_of
from keras_bisect.verdict import Verdict

__all__ = ["date", "narrow_between"]

FILES_LIMIT = 80
"""Where nightlies do not help: changed files between two releases that are tried one by one."""


def date(
    trial: Trial, transition: Transition, builds: Mapping[str, Build], to: Grain
) -> list[Transition]:
    """Narrow one transition between two releases as far as `to`.

    Args:
        trial: of the script and the failure.
        transition: between two of `builds`.
        builds: releases by name.
        to: how far to narrow.
    """
    last, first = builds[transition.last.release or ""], builds[transition.first.release or ""]
    return _finer(trial, transition, last, first, to)


def narrow_between(
    trial: Trial, good: Build, bad: Build, to: Grain, every_change: bool
) -> list[Transition]:
    """The changes between two ends, each narrowed as far as `to`.

    Args:
        trial: of the script and the failure.
        good: the good end.
        bad: the bad end.
        to: how far to narrow.
        every_change: narrow every change between the ends, not only those that separate them.
    """
    try:
        return _narrow_between(trial, good, bad, to, every_change)
    except Mistaken:
        # Now every build is run until its side is sure, those that a line is chosen by as well.
        return _narrow_between(trial, good, bad, to, every_change)


def _narrow_between(
    trial: Trial, good: Build, bad: Build, to: Grain, every_change: bool
) -> list[Transition]:
    releases = trial.lab.index.releases() if good.kind == bad.kind == "release" else ()
    low, high = (bad, good) if older(trial.lab, bad, good) else (good, bad)
    before = Verdict.GOOD if low is good else Verdict.BAD
    after = Verdict.BAD if low is good else Verdict.GOOD
    if not releases:
        whole = Transition(kind_of(before, after), before, after, _place(low), _place(high))
        return _finer(trial, whole, low, high, to, every_change)
    names = [build.name for build in releases]
    line = releases[names.index(low.name) : names.index(high.name) + 1]
    named = {build.name: build for build in line}
    trial.lab.listener(Stage(f"{len(line)} releases, {low} to {high}"))
    found = changes(trial, line, before, after, every=every_change)
    note = others(trial, line, found)
    coarse = [
        Transition(
            kind_of(one.before, one.after),
            one.before,
            one.after,
            Place(release=one.last.name),
            Place(release=one.first.name),
            between=one.between,
            confidence=one.confidence,
            tallies=one.tallies,
            notes=(note,) if note else (),
        )
        for one in found
    ]
    return [
        finer
        for one in coarse
        for finer in _finer(
            trial,
            one,
            named[one.last.release or ""],
            named[one.first.release or ""],
            to,
            every_change,
        )
    ]


def _place(build: Build) -> Place:
    if build.kind == "release":
        return Place(release=build.name)
    if build.kind == "commit":
        return Place(commit=build.name.removeprefix("git:"))
    return Place(nightly=build.name) if build.kind == "nightly" else Place(folder=build.name)


def _finer(
    trial: Trial, transition: Transition, last: Build, first: Build, to: Grain, every: bool = False
) -> list[Transition]:
    lab = trial.lab
    dated = all(lab.made(build) is not None for build in (last, first))
    if to < Grain.NIGHTLY:
        return [transition]
    if not dated:
        # A folder or the installed Keras: there is nothing between it and another but files.
        found = [_by_files_alone(trial, transition, last, first)]
    elif "commit" in (last.kind, first.kind):
        found = narrow_to_commits(trial, transition, last, first, every=every)
    elif to >= Grain.COMMIT and lab.repository is not None and _is_patch(last, first):
        # Made on a branch of its own, which need not hold the commits of any nightly.
        found = narrow_to_commits(trial, transition, last, first, every=every)
        if not any(one.first.commit for one in found):
            found = narrow_to_nightlies(trial, transition, last, first, every=every)
    else:
        found = narrow_to_nightlies(trial, transition, last, first, every=every)
        if to is Grain.COMMIT or (to > Grain.COMMIT and lab.repository is not None):
            found = [
                finer
                for one in found
                for finer in narrow_to_commits(trial, one, *_sides(lab, one, last, first))
            ]
    found = [_with_its_branch(trial, one) for one in found]
    if to < Grain.FILE:
        return found
    return [_to_files(trial, one, last, first) for one in found]


def _with_its_branch(trial: Trial, transition: Transition) -> Transition:
    """A transition with a word where its release does not hold the commit that is named."""
    repository, release = trial.lab.repository, transition.first.release
    if repository is None or transition.culprit is None or release is None:
        return transition
    tag = repository.tag_of(release)
    culprit = repository.resolve(transition.culprit.sha)
    with contextlib.suppress(NotInRepository):
        if tag is not None and not repository.is_ancestor(culprit, tag):
            note = (
                f"{culprit.sha[:10]} is a commit of the main line that {release} does not hold "
                "itself: the same change was made on the branch of the release."
            )
            return noted(trial, transition, note)
    return transition


def _by_files_alone(trial: Trial, transition: Transition, last: Build, first: Build) -> Transition:
    """A transition with a word on why no commit is named, where somebody could expect one."""
    for one, other in ((last, first), (first, last)):
        if trial.lab.made(one) is None and one.kind != other.kind:
            note = (
                f"Nobody knows which commits lie between {last} and {first}: only their files are "
                "compared. For commits give both ends as git:REV."
            )
            return noted(trial, transition, note)
    return transition


def _is_patch(last: Build, first: Build) -> bool:
    """Whether two releases differ in the last number only."""
    if last.version is None or first.version is None or "nightly" in (last.kind, first.kind):
        return False
    return last.version.release[:2] == first.version.release[:2]


def _sides(lab: Lab, transition: Transition, last: Build, first: Build) -> tuple[Build, Build]:
    """The finest builds on both sides of a transition: commits, nightlies, or what was given."""
    one, other = transition.last, transition.first
    if one.commit and other.commit:
        return Build("commit", f"git:{one.commit}"), Build("commit", f"git:{other.commit}")
    if one.nightly and other.nightly:
        named = {build.name: build for build in lab.index.nightlies()}
        return named[one.nightly], named[other.nightly]
    return last, first


def _to_files(trial: Trial, transition: Transition, last: Build, first: Build) -> Transition:
    here, there = _sides(trial.lab, transition, last, first)
    if (here, there) == (last, first) and last.kind == first.kind == "release":
        before, after = trial.lab.source(last), trial.lab.source(first)
        if (count := len(changed(before.files, after.files))) > FILES_LIMIT:
            trial.lab.listener(
                Notice(f"{count} files changed between {last} and {first}: not tried.")
            )
            return transition
    return narrow_to_files(trial, transition, here, there)
