"""The commits of a change: which line of them leads from one build to another, and which it was.

A release lies where its tag is, a nightly at the commit it was made from. Where one end holds the
other there is a line between them. Where it does not, because a release was mended on a branch of
its own, both have a *merge base*, and that is tested first, as git does: if it behaves like the
older end the change came after it, on the way to the newer; if it behaves like the newer the change
is no change of the main line at all, but one that the branch of the older end made alone.

Public: `narrow_to_commits`, `older`, `check_suspects`, `build_of`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

from keras_bisect.builds.build import Build
from keras_bisect.errors import KerasBisectError, NotCached, Unreachable, UsageError
from keras_bisect.events import Notice, Stage
from keras_bisect.history.git import NotInRepository
from keras_bisect.history.repository import Commit, Repository, main_parent
from keras_bisect.lab import Lab
from keras_bisect.search.bisection import Bisection
from keras_bisect.search.line import beyond, changes, others
from keras_bisect.search.trial import Trial
from keras_bisect.transitions import Culprit, Transition, kind_of
from keras_bisect.verdict import Verdict
from keras_bisect.wording import counted

__all__ = ["build_of", "check_suspects", "narrow_to_commits", "older"]

NO_COMMITS = "Not narrowed to a commit"
"""How the note begins of a transition that a repository, or a fuller one, would make finer."""
ABSENT = (NotInRepository, Unreachable, NotCached)


def build_of(commit: Commit) -> Build:
    """A commit as a build."""
    return Build("commit", f"git:{commit.sha}")


def narrow_to_commits(
    trial: Trial, transition: Transition, last: Build, first: Build, *, every: bool = False
) -> list[Transition]:
    """The transitions over the commits between two builds whose verdicts differ.

    Returns:
        One transition for each change of verdict on the way; or the one given, with a note, where
        the commits cannot be had or do not show it.
    """
    repository = trial.lab.repository
    if repository is None:
        return [noted(trial, transition, f"{NO_COMMITS}: no repository was named.")]
    try:
        return _narrow(trial, repository, transition, last, first, every)
    except ABSENT as missing:
        return [noted(trial, transition, f"{NO_COMMITS}: {missing}")]


def noted(trial: Trial, transition: Transition, note: str) -> Transition:
    """A transition with something that a person must know, who is told at once."""
    trial.lab.listener(Notice(note))
    return replace(transition, notes=(*transition.notes, note))


def _narrow(
    trial: Trial,
    repository: Repository,
    transition: Transition,
    last: Build,
    first: Build,
    every: bool,
) -> list[Transition]:
    low = _commit(trial.lab, repository, last, late=False)
    high = _commit(trial.lab, repository, first, late=True)
    made = {low.sha: last, high.sha: first}
    for build, commit in ((last, low), (first, high)):
        if _is_guess(trial.lab, repository, build):
            side = "before" if commit is low else "after"
            note = (
                f"The sources of {build} are those of no commit of its time, so it counts as made "
                f"from {commit.sha[:10]}, a day {side} it."
            )
            transition = noted(trial, transition, note)
    if low.sha == high.sha:
        return [noted(trial, transition, f"{last} and {first} were made from one commit, {low}.")]
    before, after = transition.before, transition.after
    if not repository.is_ancestor(low, high):
        base = repository.merge_base(low, high)
        trial.lab.listener(Stage(f"{last} and {first} part at {base}"))
        there = trial.verdict(build_of(base))
        parted = f"{last} and {first} part at {base.sha[:10]}, which is {there}"
        if there is Verdict.UNTESTABLE:
            return [noted(trial, transition, f"{parted}: which side made the change is not known.")]
        if there is after:
            # The line leads from where they part to the end that changed.
            transition = replace(
                transition,
                kind=kind_of(there, before),
                before=there,
                after=before,
                last=replace(transition.last, release=None, nightly=None),
                first=transition.last,
            )
            word = "fixed" if before is Verdict.GOOD else "made"
            note = (
                f"{parted}, as {first} is: the difference was {word} on the branch of {last} alone."
            )
            transition = noted(trial, transition, note)
            low, high = base, low
        else:
            transition = noted(trial, replace(transition, before=there), f"{parted}.")
            low = base
        before, after = transition.before, transition.after
    line = repository.between(low, high)
    builds = [build_of(commit) for commit in line]
    trial.lab.listener(Stage(f"{len(line)} commits, {low.sha[:10]} to {high.sha[:10]}"))
    trial.lab.prefetch([builds[0], builds[-1], builds[(len(builds) - 1) // 2]])
    ends = trial.entries([builds[0], builds[-1]])
    # A commit that cannot be tested stands for the build that was made from it, which could be.
    for end, commit in ((0, low), (-1, high)):
        if ends[end].verdict is Verdict.UNTESTABLE and commit.sha in made:
            builds[end] = made[commit.sha]
            ends[end] = trial.entries([builds[end]])[0]
    if (ends[0].verdict, ends[1].verdict) != (before, after):
        said = f"{low.sha[:10]} is {ends[0].verdict}, {high.sha[:10]} is {ends[1].verdict}"
        return [noted(trial, transition, f"The commits do not show the change: {said}.")]
    suspects = _suspects(trial, repository, line)
    found = changes(trial, builds, before, after, suspects=suspects, every=every)
    place = {build.name: index for index, build in enumerate(builds)}
    narrowed = []
    for one in found:
        older_one, newer_one = line[place[one.last.name]], line[place[one.first.name]]
        notes = (others(trial, builds, found), beyond(trial, builds, one))
        narrowed.append(
            replace(
                transition,
                kind=kind_of(one.before, one.after),
                before=one.before,
                after=one.after,
                last=replace(transition.last, commit=older_one.sha),
                first=replace(transition.first, commit=newer_one.sha),
                culprit=None if one.between else _culprit(repository, newer_one),
                between=one.between,
                confidence=one.confidence,
                tallies=one.tallies,
                notes=(*transition.notes, *(note for note in notes if note)),
            )
        )
    return [_inside(trial, repository, one) for one in narrowed]


def _inside(trial: Trial, repository: Repository, transition: Transition) -> Transition:
    """A change that came with a merge, narrowed to the commit that the merge brought, if it did."""
    if transition.culprit is None:
        return transition
    merge = repository.resolve(transition.culprit.sha)
    before_it = main_parent(merge)
    brought = [sha for sha in merge.parents if sha != before_it]
    if before_it is None or len(brought) != 1:
        return transition
    side = repository.resolve(brought[0])
    try:
        base = repository.merge_base(repository.resolve(before_it), side)
    except (UsageError, *ABSENT):
        # Two histories that have nothing in common, or a clone that ends before they meet.
        return transition
    line = repository.between(base, side)
    if len(line) < 2:
        return transition
    builds = [build_of(commit) for commit in line]
    ends = trial.entries([builds[0], builds[-1]])
    if (ends[0].verdict, ends[1].verdict) != (transition.before, transition.after):
        # Only what the merge brought together makes the difference.
        return transition
    found = changes(trial, builds, transition.before, transition.after)
    if len(found) != 1 or found[0].between:
        return transition
    place = {build.name: commit for build, commit in zip(builds, line, strict=True)}
    last, first = place[found[0].last.name], place[found[0].first.name]
    note = f"Merged by {merge.sha[:10]} ({merge.subject[:60]})."
    return replace(
        transition,
        last=replace(transition.last, commit=last.sha),
        first=replace(transition.first, commit=first.sha),
        culprit=_culprit(repository, first),
        notes=(*transition.notes, note),
    )


def _commit(lab: Lab, repository: Repository, build: Build, *, late: bool) -> Commit:
    """Where a build lies in the history.

    Raises:
        NotInRepository: nobody can tell.
    """
    if build.kind == "commit":
        return repository.resolve(build.name.removeprefix("git:"))
    if build.kind == "release":
        tag = repository.tag_of(build.name)
        if tag is None:
            raise NotInRepository(f"It has no tag of {build}: `git fetch --tags` gets it.")
        return tag
    nightly = repository.commit_of_nightly(lab.source(build))
    return nightly.latest if late else nightly.earliest


def _is_guess(lab: Lab, repository: Repository, build: Build) -> bool:
    """Whether it is only by its time that a nightly has its place in the history."""
    if build.kind != "nightly":
        return False
    return not repository.commit_of_nightly(lab.source(build)).exact


def _culprit(repository: Repository, commit: Commit) -> Culprit:
    return Culprit(
        commit.sha,
        commit.subject,
        commit.author_date.isoformat(),
        commit.pull,
        repository.touched(commit),
        repository.commit_link(commit),
    )


def _suspects(trial: Trial, repository: Repository, line: Sequence[Commit]) -> Iterator[int]:
    """Positions of the commits that a person suspects, or that touch a file they suspect."""
    place = {commit.sha: index for index, commit in enumerate(line)}
    for suspect in trial.hints.suspects:
        if is_file(suspect):
            shas = repository.touching(suspect, line[0], line[-1])
        else:
            shas = (repository.resolve(suspect).sha,)
        found = [place[sha] for sha in shas if sha in place]
        if not found:
            what = "none of them touches it" if is_file(suspect) else "it is none of them"
            trial.lab.listener(
                Notice(
                    f"--suspect {suspect} helps nothing among {counted(len(line) - 1, 'commit')}, "
                    f"{line[0].sha[:10]} to {line[-1].sha[:10]}: {what}."
                )
            )
        yield from found


def foresee(lab: Lab, one: Build, other: Build) -> None:
    """Fetch two commits, and those between them that a search will look at first.

    There is time for it: TensorFlow is being imported, and no verdict is needed to know them.
    """
    lab.prefetch([one, other])
    repository = lab.repository
    if repository is None or not one.kind == other.kind == "commit":
        return
    low, high = (one, other) if older(lab, one, other) else (other, one)
    with contextlib.suppress(KerasBisectError):
        # What is wrong is told where it matters.
        line = repository.between(*(repository.resolve(b.name[4:]) for b in (low, high)))
        search = Bisection(len(line), False, True)
        lab.prefetch(build_of(line[place]) for place in search.ask(3))


def is_file(suspect: str) -> bool:
    """Whether a suspect is a file of the repository, and not a revision.

    >>> is_file("keras/src/trainers/compile_utils.py"), is_file("8f5ad1e75b")
    (True, False)
    """
    return suspect.endswith(".py") or suspect.startswith("keras/")


def check_suspects(lab: Lab, suspects: Sequence[str]) -> None:
    """Refuse suspects that do not exist before anything is probed for them.

    Raises:
        UsageError: there is no such commit; or commits are suspected, and there is no repository.
    """
    for suspect in suspects:
        if is_file(suspect):
            continue
        if lab.repository is None:
            raise UsageError(f"--suspect {suspect} needs the Keras repository: --repo PATH.")
        lab.repository.resolve(suspect)


def older(lab: Lab, one: Build, other: Build) -> bool:
    """Whether one build comes before another on the line between them."""
    if one.kind == other.kind == "release" and one.version and other.version:
        return one.version < other.version
    repository = lab.repository
    dates = [lab.made(build) for build in (one, other)]
    if dates[0] is None or dates[1] is None:
        # A folder, or the installed Keras: the order in which they were given, good before bad.
        return False
    if "commit" in (one.kind, other.kind) and repository is not None:
        with contextlib.suppress(*ABSENT):
            here, there = (_commit(lab, repository, build, late=False) for build in (one, other))
            relation = repository.relation(here, there)
            if relation in ("ancestor", "descendant"):
                return relation == "ancestor"
    return dates[0] < dates[1]
