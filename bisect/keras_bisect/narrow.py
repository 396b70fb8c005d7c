"""From a change between two releases to the nightlies around it, and to the files that made it.

    releases   3.4.1 ✓ | ✗ 3.5.0
    nightlies  3.4.1.dev2024071903 ✓ | ✗ 3.4.1.dev2024072003
    files      keras/src/trainers/compile_utils.py

Each step takes what the step before found, verifies both ends at the new grain, and narrows.
Nothing is assumed: the nightlies of the day of a release need not behave like the release, so the
ends are looked for around it until they do.

Public: `Narrower`, `Hints`, `Grain`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import IntEnum

from keras_bisect.build import Build
from keras_bisect.content import changed
from keras_bisect.errors import HarnessError, Unreachable, UsageError
from keras_bisect.events import Judgement, Narrowed, Notice, Stage
from keras_bisect.git import NotInRepository
from keras_bisect.lab import Lab
from keras_bisect.outcome import Tree
from keras_bisect.probe import Script
from keras_bisect.reduce import smallest
from keras_bisect.repository import Commit
from keras_bisect.search import Bisection, Change
from keras_bisect.store import Source
from keras_bisect.timeline import Culprit, Entry, Transition, kind_of
from keras_bisect.verdict import Judged, Signature, Verdict, judge

__all__ = ["Grain", "Hints", "Narrower"]

STEPS = (0, 1, 2, 4, 8, 16, 32, 64, 128)
"""Distances, in nightlies, at which an end is looked for around the day of its release."""
PARTS = 8
"""Parts of a line at whose borders a failure is looked for that no nightly near its release has."""


class Grain(IntEnum):
    """How far a change is narrowed."""

    RELEASE = 0
    NIGHTLY = 1
    COMMIT = 2
    FILE = 3


@dataclass
class Hints:
    """Earlier answers of a command, to be tried first: findings often have one cause."""

    nightlies: list[tuple[str, str]] = field(default_factory=list)
    """Neighbours between which a change was found."""
    files: list[tuple[str, ...]] = field(default_factory=list)


class Narrower:
    """Narrows the changes of one failure of one script."""

    def __init__(
        self,
        lab: Lab,
        script: Script,
        signature: Signature,
        tree: Tree = "optree",
        *,
        hints: Hints | None = None,
    ) -> None:
        """Narrow what `signature` says of `script`."""
        self._lab = lab
        self._script = script
        self._signature = signature
        self._tree = tree
        self._hints = hints if hints is not None else Hints()

    def judged(self, builds: Sequence[Build]) -> Iterator[tuple[Build, Judged]]:
        """The verdicts of builds, as the probes end."""
        for _, build, outcome in self._lab.outcomes([self._script], builds, self._tree):
            judged = judge(outcome, self._signature)
            self._lab.listener(Judgement(build.name, judged))
            yield build, judged

    def entries(self, builds: Sequence[Build]) -> list[Entry]:
        """The verdicts of builds, in their own order."""
        found = {build.name: judged for build, judged in self.judged(builds)}
        return [Entry(b.name, found[b.name].verdict, found[b.name].detail) for b in builds]

    def verdict(self, build: Build) -> Verdict:
        """The verdict of one build."""
        return next(self.judged([build]))[1].verdict

    def bisect(
        self, line: Sequence[Build], before: Verdict, after: Verdict
    ) -> list[tuple[Change[Verdict], tuple[Entry, ...]]]:
        """The changes on a line whose ends have these verdicts, and what lies inside each."""
        search = Bisection(len(line), before, after)
        details: dict[int, Judged] = {}
        position = {build.name: index for index, build in enumerate(line)}
        jobs = self._lab.prober.jobs
        while wanted := search.ask(jobs):
            # What could be asked for next is fetched while these are probed.
            self._lab.prefetch(line[p] for p in search.ask(jobs + 2))
            for build, judged in self.judged([line[p] for p in wanted]):
                index = position[build.name]
                details[index] = judged
                search.tell(index, _testable(judged.verdict))
            widest = search.changes()
            self._lab.listener(
                Narrowed(
                    line[widest[0].last].name,
                    line[widest[-1].first].name,
                    widest[-1].first - widest[0].last - 1,
                    search.left(),
                )
            )
        return [
            (
                change,
                tuple(
                    Entry(line[p].name, details[p].verdict, details[p].detail)
                    for p in change.between
                ),
            )
            for change in search.changes()
        ]

    # -- nightlies -----------------------------------------------------------------------

    def nightlies(self, transition: Transition, last: Build, first: Build) -> list[Transition]:
        """The transitions over the nightlies between two builds whose verdicts differ.

        Returns:
            One transition for each change of verdict on the way; or the one given, with a note,
            where the nightlies do not show it.
        """
        line = self._lab.index.nightlies()
        self._lab.listener(Stage(f"nightlies between {last} and {first}"))
        ends = self._ends(line, transition, last, first)
        if isinstance(ends, str):
            self._lab.listener(Notice(ends))
            return [replace(transition, notes=(*transition.notes, ends))]
        low, high = self._shortcut(line, *ends, transition)
        part = line[low : high + 1]
        found = []
        for change, between in self.bisect(part, transition.before, transition.after):
            before, after = part[change.last], part[change.first]
            self._hints.nightlies.append((before.name, after.name))
            found.append(
                replace(
                    transition,
                    kind=kind_of(change.before, change.after),
                    before=change.before,
                    after=change.after,
                    last=replace(transition.last, nightly=before.name),
                    first=replace(transition.first, nightly=after.name),
                    between=between,
                )
            )
        return found

    def _ends(
        self, line: Sequence[Build], transition: Transition, last: Build, first: Build
    ) -> tuple[int, int] | str:
        """Positions of two nightlies that behave like `last` and `first`; or why there are none."""
        if last.made is None or first.made is None:
            return "The nightlies on both sides are not known: a build has no date."
        if not line:
            return "The index offers no nightlies."
        # A patch release is made after later releases, but from older sources.
        begin = min(last.made, first.made)
        low = max((i for i, build in enumerate(line) if _made(build) <= begin), default=0)
        high = min(
            (i for i, build in enumerate(line) if _made(build) >= first.made), default=len(line) - 1
        )
        if low >= high:
            low = max(0, high - 1)
        # Both at once; one by one they are then known.
        self.entries([line[low], line[high]])
        found_low = self._near(line, low, -1, transition.before, range(high))
        if found_low is None:
            return (
                f"No nightly before {first} behaves like {last} ({transition.before}), so the "
                "change is not one of the main line: a change made on a release branch, or one "
                "that nightlies show in another way."
            )
        rest = range(found_low + 1, len(line))
        found_high = self._near(line, high, +1, transition.after, rest)
        if found_high is None:
            found_high = self._inside(line, found_low, high, transition.after)
        if found_high is None:
            return (
                f"No nightly around {first} behaves like it ({transition.after}), so the change "
                "is not one of the main line: a change made on a release branch, or one that was "
                "taken back there at once."
            )
        return found_low, found_high

    def _near(
        self, line: Sequence[Build], start: int, direction: int, wanted: Verdict, within: range
    ) -> int | None:
        """A position with a verdict, as near to `start` as growing steps find one.

        Of two at one distance, the one in `direction`. A branch is cut some days before a release
        and mended apart from the main line, so the nearest nightly can lie on either side.
        """
        for step in STEPS:
            both = dict.fromkeys((start + direction * step, start - direction * step))
            places = [position for position in both if position in within]
            for position, entry in zip(
                places, self.entries([line[position] for position in places]), strict=True
            ):
                if entry.verdict is wanted:
                    return position
        return None

    def _inside(self, line: Sequence[Build], low: int, high: int, wanted: Verdict) -> int | None:
        """A position with a verdict between two others, the later ones first: it came and went."""
        places = sorted({low + (high - low) * part // PARTS for part in range(1, PARTS)} - {low})
        for position in reversed(places):
            if self.verdict(line[position]) is wanted:
                return position
        return None

    def _shortcut(
        self, line: Sequence[Build], low: int, high: int, transition: Transition
    ) -> tuple[int, int]:
        """Both ends moved to where an earlier answer found a change, if this one is there."""
        position = {build.name: index for index, build in enumerate(line)}
        for last, first in self._hints.nightlies:
            a, b = position.get(last, -1), position.get(first, -1)
            if not low <= a < b <= high:
                continue
            found = {
                build.name: judged.verdict for build, judged in self.judged([line[a], line[b]])
            }
            if (found[last], found[first]) == (transition.before, transition.after):
                return a, b
        return low, high

    # -- commits ---------------------------------------------------------------------------------

    def commits(self, transition: Transition, last: Build, first: Build) -> list[Transition]:
        """The transitions over the commits between two nightlies, or between two commits.

        Returns:
            One transition for each change of verdict on the way; or the one given, with a note,
            where the commits do not show it.
        """
        repository = self._lab.repository
        if repository is None:
            raise UsageError("Commits need a clone of the Keras repository. Give one with --repo.")
        try:
            line = repository.between(
                self._commit(last, late=False), self._commit(first, late=True)
            )
        except (NotInRepository, Unreachable) as missing:
            return [self._noted(transition, f"Not narrowed to a commit: {missing}")]
        builds = [Build("commit", f"git:{commit.sha}") for commit in line]
        self._lab.listener(Stage(f"{len(line)} commits between {last} and {first}"))
        ends = {build.name: one.verdict for build, one in self.judged([builds[0], builds[-1]])}
        if (ends[builds[0].name], ends[builds[-1].name]) != (transition.before, transition.after):
            return [self._noted(transition, f"The commits of {last} and {first} behave otherwise.")]
        found = []
        for change, between in self.bisect(builds, transition.before, transition.after):
            commit = line[change.first]
            culprit = Culprit(
                commit.sha, commit.subject, commit.author_date.isoformat(), commit.pull
            )
            found.append(
                replace(
                    transition,
                    kind=kind_of(change.before, change.after),
                    before=change.before,
                    after=change.after,
                    last=replace(transition.last, commit=line[change.last].sha),
                    first=replace(transition.first, commit=commit.sha),
                    culprit=None if between else culprit,
                    between=between,
                )
            )
        return found

    def _commit(self, build: Build, *, late: bool) -> Commit:
        repository = self._lab.repository
        assert repository is not None
        if build.kind == "commit":
            return repository.resolve(build.name.removeprefix("git:"))
        nightly = repository.commit_of_nightly(self._lab.source(build))
        return nightly.latest if late else nightly.earliest

    def _noted(self, transition: Transition, note: str) -> Transition:
        self._lab.listener(Notice(note))
        return replace(transition, notes=(*transition.notes, note))

    # -- files ---------------------------------------------------------------------------

    def files(self, transition: Transition, last: Build, first: Build) -> Transition:
        """The smallest set of changed files that, put on `last`, gives the verdict of `first`."""
        before, after = self._lab.source(last), self._lab.source(first)
        candidates = changed(before.files, after.files)
        self._lab.listener(
            Stage(f"{len(candidates)} changed files between {last} and {first}", len(candidates))
        )
        if not candidates:
            note = f"{last} and {first} have the same sources: Keras' files make no difference."
            return replace(transition, notes=(*transition.notes, note))

        def flips(sets: Sequence[tuple[str, ...]]) -> Iterator[tuple[tuple[str, ...], bool]]:
            """Which sets flip the verdict, as the probes end."""
            for files, verdict in self._overlaid(before, after, sets):
                yield files, verdict is transition.after

        found = smallest(candidates, flips, suspects=self._hints.files)
        if found is None:
            note = (
                f"None of the {len(candidates)} changed files, nor all, flip the verdict of {last}."
            )
            return replace(transition, notes=(*transition.notes, note))
        self._hints.files.append(found)
        return replace(transition, files=found)

    def _overlaid(
        self, before: Source, after: Source, sets: Sequence[tuple[str, ...]]
    ) -> Iterator[tuple[tuple[str, ...], Verdict]]:
        named = {" + ".join(files): files for files in sets}

        def sources() -> Iterator[tuple[str, Source]]:
            for name, files in named.items():
                yield name, self._lab.store.overlay(before, after, files)

        for _, name, outcome in self._lab.examine([self._script], sources(), self._tree):
            judged = judge(outcome, self._signature)
            self._lab.listener(Judgement(name, judged))
            yield named[name], judged.verdict


def _testable(verdict: Verdict) -> Verdict | None:
    return None if verdict is Verdict.UNTESTABLE else verdict


def _made(build: Build) -> datetime:
    if build.made is None:
        raise HarnessError(f"The index does not say when {build} was made.")
    return build.made
