"""Both ends of a search: found where nobody named them, verified, and moved where they are broken.

The failure is learned from the bad end, so that comes first. A good end that nobody named is looked
for in growing steps back from the bad one, and where none of these passes, in all releases before.
An end that does not exist (no nightly was made on that day) or cannot be tested moves *outward*,
away from the other end: what was said of it is then surely true of its neighbour, or the search
finds out that it is not.

Public: `Ends`, `find_ends`.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice, pairwise

from keras_bisect.builds.build import Build
from keras_bisect.builds.index import NoSuchNightly
from keras_bisect.errors import Inconclusive, NotReproduced, UsageError
from keras_bisect.events import Learned, Notice, Stage
from keras_bisect.history.git import NotInRepository
from keras_bisect.history.repository import main_parent
from keras_bisect.lab import Lab
from keras_bisect.outcome import Outcome, Tree
from keras_bisect.probe.prober import Script
from keras_bisect.search.commits import build_of, foresee, older
from keras_bisect.search.trial import Hints, Repeat, Trial
from keras_bisect.verdict import Judged, Signature, Verdict, first_look, judge

__all__ = ["Ends", "Recognise", "find_ends"]

OUTWARD = 8
"""Neighbours that are tried instead of an end that cannot be tested."""
DOUBT = 16
"""Runs of an end that is not what it was said to be, before that is believed."""

FEW = 8
"""Builds that are named one by one where none is as it should be."""
SOMETIMES = "good in some runs only"

Recognise = Callable[[Outcome], Signature | None]
"""The signature of the failure that an outcome shows; None if it shows none."""


@dataclass(frozen=True)
class Ends:
    """Two builds that are what they are said to be, and what says so."""

    trial: Trial
    good: Build
    bad: Build


@dataclass(frozen=True)
class _Search:
    """What all steps of finding the ends need to know."""

    lab: Lab
    script: Script
    tree: Tree
    recognise: Recognise
    repeat: Repeat
    hints: Hints
    since: datetime | None

    def trial(self, signature: Signature) -> Trial:
        self.lab.listener(Learned(signature))
        return Trial(
            self.lab,
            self.script,
            signature,
            self.tree,
            repeat=self.repeat,
            hints=self.hints,
            since=self.since,
        )

    def outcome(self, build: Build) -> Outcome:
        return self.lab.outcome(self.script, build, self.tree)

    def failure(self, outcome: Outcome) -> Signature | None:
        """The failure that is looked for, if an outcome shows it."""
        found = self.recognise(outcome)
        shown = found is not None and judge(outcome, found).verdict is Verdict.BAD
        return found if shown else None

    def doubted(self, build: Build) -> Iterator[Outcome]:
        """More runs of a build that did not show what it was said to show."""
        runs = DOUBT if self.repeat.runs is None else self.repeat.runs
        wanted = [(build, sample) for sample in range(1, runs)]
        for _, _, outcome in self.lab.samples(self.script, wanted, self.tree):
            yield outcome

    def say(self, text: str) -> None:
        self.lab.listener(Notice(text))


def find_ends(
    lab: Lab,
    script: Script,
    good: Build | str | None,
    bad: Build | str | None,
    *,
    recognise: Recognise,
    tree: Tree = "optree",
    find_fix: bool = False,
    repeat: Repeat = Repeat(),  # noqa: B008 - frozen
    hints: Hints | None = None,
    since: datetime | None = None,
) -> Ends:
    """Find and verify a good and a bad build.

    Args:
        lab: what probes.
        script: exits 0, 1 or 125.
        good: a build where it passes; looked for if it is None.
        bad: a build where it fails; the newest release if it is None.
        recognise: learns the failure from an outcome of the bad end.
        tree: the tree implementation.
        find_fix: the bad build is the older one.
        repeat: how often the script is run under each end.
        hints: see `Trial`.
        since: see `Trial`.

    Raises:
        UsageError: there is no such build, or both are one.
        NotReproduced: an end is not what it was said to be; the message has the verdicts.
        Inconclusive: an end cannot be tested, nor can its neighbours.
    """
    search = _Search(lab, script, tree, recognise, repeat, hints or Hints(), since)
    named_good = _named(search, good, newer=find_fix) if good is not None else None
    named_bad = _named(search, bad, newer=not find_fix) if bad is not None else None
    if named_good is not None and named_bad is not None:
        if named_good.name == named_bad.name:
            raise UsageError(f"{good} and {bad} are one build, {named_good}. Give two.")
        if find_fix and not older(lab, named_bad, named_good):
            search.say(
                f"--find-fix: {named_good}, the older of the two, is taken as the bad end, and "
                f"{named_bad} as the good one."
            )
            named_good, named_bad = named_bad, named_good
        lab.listener(Stage("both ends"))
        foresee(lab, named_bad, named_good)
        # Both at once, with the runs that calibrate them; one by one they are then known.
        runs = range(repeat.ends)
        list(lab.samples(script, [(b, n) for b in (named_bad, named_good) for n in runs], tree))
        find_fix = older(lab, named_bad, named_good)
    if find_fix and named_good is None:
        named_good = _newest(lab)
    if named_bad is None:
        named_bad = _failing_before(search, named_good) if find_fix else _newest(lab)
    trial, real_bad = _bad_end(search, named_bad, named_good, newer=not find_fix)
    if named_good is None:
        real_good = _gallop(search, trial, real_bad)
    else:
        real_good = _good_end(search, trial, named_good, newer=find_fix)
    trial.calibrate(real_good, real_bad)
    return Ends(trial, real_good, real_bad)


def _named(search: _Search, end: Build | str, *, newer: bool) -> Build:
    """The build that a person named, or its neighbour where it was never made."""
    if isinstance(end, Build):
        return end
    try:
        return search.lab.resolve(end)
    except NoSuchNightly as missing:
        found = missing.above if newer else missing.below
        if found is None:
            raise
        search.say(f"{end} was not made; the {'next' if newer else 'last before'} is {found}.")
        return found


def _newest(lab: Lab) -> Build:
    releases = lab.index.releases()
    if not releases:
        raise UsageError("The index offers no release of Keras. Give two builds.")
    return releases[-1]


def _neighbours(lab: Lab, build: Build, *, newer: bool) -> Iterator[Build]:
    """Builds of the same kind on one side of a build, the nearest first."""
    if build.kind == "commit" and lab.repository is not None:
        here = lab.repository.resolve(build.name.removeprefix("git:"))
        if newer:
            with contextlib.suppress(NotInRepository):
                tip = lab.repository.tip()
                if lab.repository.is_ancestor(here, tip):
                    yield from map(build_of, lab.repository.between(here, tip)[1:])
            return
        while (parent := main_parent(here)) is not None:
            here = lab.repository.resolve(parent)
            yield build_of(here)
        return
    if build.kind not in ("release", "nightly"):
        return
    line = lab.index.releases() if build.kind == "release" else lab.index.nightlies()
    place = next((i for i, one in enumerate(line) if one.name == build.name), None)
    if place is not None:
        yield from line[place + 1 :] if newer else reversed(line[:place])


def _untestable(side: str, named: Build, why: Judged, last: Build) -> Inconclusive:
    """Neither an end nor what could stand for it, up to `last`, can be tested."""
    nor = ", nor can its neighbours" if last.name != named.name else ""
    return Inconclusive(f"The {side} end, {named}, cannot be tested{nor}: {why.detail}.")


# -- the bad end -------------------------------------------------------------------------------


def _bad_end(
    search: _Search, named: Build, good: Build | None, *, newer: bool
) -> tuple[Trial, Build]:
    """The failure, learned from the bad end or from the first testable build beyond it."""
    first = search.outcome(named)
    for build in chain([named], islice(_neighbours(search.lab, named, newer=newer), OUTWARD)):
        outcome = search.outcome(build)
        signature = search.failure(outcome)
        seen = first_look(outcome).verdict
        if signature is None and seen is Verdict.GOOD:
            again = map(search.failure, search.doubted(build))
            signature = next((found for found in again if found is not None), None)
        if signature is None and seen is Verdict.UNTESTABLE:
            continue
        if build.name != named.name:
            search.say(
                f"The bad end, {named}, cannot be tested ({first_look(first).detail}): {build} is "
                "taken instead."
            )
        if signature is None:
            raise _not_bad(search, build, outcome, good)
        return search.trial(signature), build
    raise _untestable("bad", named, first_look(first), build)


def _not_bad(search: _Search, bad: Build, outcome: Outcome, good: Build | None) -> NotReproduced:
    seen = first_look(outcome)
    if seen.verdict is Verdict.BAD:
        return NotReproduced(f"The bad end, {bad}, fails in another way: {seen.detail}.")
    passing = first_look(search.outcome(good)) if good is not None else None
    if passing is not None and passing.verdict is Verdict.BAD:
        return NotReproduced(
            f"The ends are swapped: {bad}, given as bad, passes, and {good}, given as good, fails "
            f"({passing.detail}). Run again with --good {bad} --bad {good}."
        )
    said = f" ({good}, the good end, {passing.detail})" if passing is not None else ""
    return NotReproduced(f"The bad end, {bad}, passes{said}. Give a build that fails with --bad.")


def _failing_before(search: _Search, good: Build | None) -> Build:
    """The nearest failing release before a good build, looked for in growing steps."""
    assert good is not None
    search.lab.listener(Stage(f"a failing release before {good}"))

    def failing(build: Build) -> tuple[bool, str]:
        outcome = search.outcome(build)
        seen = first_look(outcome).verdict
        if seen is Verdict.BAD and search.failure(outcome) is None:
            # It fails, but not as its case does.
            seen = Verdict.DIFFERENT
        return seen is Verdict.BAD, str(seen)

    return _stepping(search, good, failing, "fails", "--bad")


# -- the good end ------------------------------------------------------------------------------


def _good_end(search: _Search, trial: Trial, named: Build, *, newer: bool) -> Build:
    """The good end, verified, or the first testable build beyond it."""
    first = judge(search.outcome(named), trial.signature)
    for build in chain([named], islice(_neighbours(search.lab, named, newer=newer), OUTWARD)):
        judged = next(trial.judged([build]))[1]
        if judged.verdict is Verdict.UNTESTABLE:
            continue
        if build.name != named.name:
            search.say(
                f"The good end, {named}, cannot be tested ({first.detail}): {build} is taken "
                "instead."
            )
        if judged.verdict is not Verdict.GOOD and not trial.noisy:
            runs = [judge(one, trial.signature).verdict for one in search.doubted(build)]
            if Verdict.GOOD in runs:
                return build
        if judged.verdict is Verdict.GOOD:
            return build
        how = (
            "fails as the bad end does" if judged.verdict is Verdict.BAD else "fails in another way"
        )
        raise NotReproduced(
            f"The good end, {build}, {how}: {judged.detail}. Give a build that passes with --good, "
            "or leave it out to have one looked for."
        )
    raise _untestable("good", named, first, build)


def _gallop(search: _Search, trial: Trial, bad: Build) -> Build:
    """The nearest passing release before a bad build, looked for in growing steps."""
    search.lab.listener(Stage(f"a good release before {bad}"))

    def passing(build: Build) -> tuple[bool, str]:
        verdict = trial.verdict(build)
        if verdict is Verdict.GOOD and not trial.passes(build, bad):
            return False, SOMETIMES
        return verdict is Verdict.GOOD, str(verdict)

    return _stepping(search, bad, passing, "passes", "--good")


def _stepping(
    search: _Search, start: Build, wanted: Callable[[Build], tuple[bool, str]], does: str, flag: str
) -> Build:
    """A release before a build that is as wanted: in growing steps back, then of all the others."""
    lab = search.lab
    if start.kind == "release":
        older = [b for b in lab.index.releases() if b.version and b.version < start.version]  # type: ignore[operator]
    else:
        made = lab.made(start)
        older = [b for b in lab.index.releases() if made is None or not b.made or b.made < made]
    newest_first: list[Build] = [*older[::-1]]
    seen: dict[str, str] = {}
    steps = [(1 << n) - 1 for n in range(len(older)) if (1 << n) < len(older)]
    for place, following in pairwise([*steps, len(older) - 1, 0] if older else []):
        lab.prefetch([newest_first[place], newest_first[following]])
        found, seen[newest_first[place].name] = wanted(newest_first[place])
        if found:
            return newest_first[place]
    if SOMETIMES not in seen.values():
        rest = [build for build in newest_first if build.name not in seen]
        # All at once; one by one they are then known.
        lab.table(search.script, rest, search.tree)
        for build in rest:
            found, seen[build.name] = wanted(build)
            if found:
                return build
    raise NotReproduced(
        f"None of the releases before {start} {does} ({_summary(seen)}). Give a build that {does} "
        f"with {flag}."
    )


def _summary(seen: Mapping[str, str]) -> str:
    """What builds showed, in one line."""
    if len(seen) <= FEW:
        return ", ".join(f"{build} {verdict}" for build, verdict in seen.items()) or "there is none"
    return ", ".join(f"{count} {verdict}" for verdict, count in Counter(seen.values()).items())
