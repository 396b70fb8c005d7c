"""The search on one line of builds: where on it does the verdict change?

Plain bisection (`bisection.py`) as long as the script is of one mind, and the two builds its answer
rests on are run again before it is believed. Where runs of one build contradict each other the
search starts over as a Bayesian one (`noise.py`), with all that was seen.

What a person suspects is tried first by a detour that cannot change the answer: the line is
searched with the suspected positions and their neighbours alone, and what is left between two of
them after that is searched as ever.

Public: `Found`, `Mistaken`, `changes`, `beyond`, `others`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from keras_bisect.builds.build import Build
from keras_bisect.events import Narrowed, Notice
from keras_bisect.search.bisection import Bisection, Change, Cost
from keras_bisect.search.noise import Belief
from keras_bisect.search.trial import Trial
from keras_bisect.transitions import Entry, Tally, line_of
from keras_bisect.verdict import Judged, Verdict, judge

__all__ = ["Found", "Mistaken", "beyond", "changes", "others"]

EVERY = 64
"""Builds of a line that are probed where every change is looked for."""
FEW = 4
"""Builds whose side one search asks for, about, where none of them may be wrong."""
OTHERS = 2
"""Runs of a build that fail in another way, after which that is no accident."""
TWO = {Verdict.GOOD, Verdict.BAD}


class Mistaken(Exception):  # noqa: N818
    """An end of a line is not what a single run of it showed: the script does not always show one.

    The trial knows that now. Whoever chose the line by such runs chooses again.
    """


@dataclass(frozen=True)
class Found:
    """A change on a line."""

    last: Build
    first: Build
    before: Verdict
    after: Verdict
    between: tuple[Entry, ...] = ()
    """What could not be told apart from `first`."""
    confidence: float = 1.0
    tallies: tuple[Tally, ...] = ()
    notes: tuple[str, ...] = ()


def changes(
    trial: Trial,
    line: Sequence[Build],
    before: Verdict,
    after: Verdict,
    *,
    suspects: Iterable[int] = (),
    every: bool = False,
) -> list[Found]:
    """The changes on a line whose ends have these verdicts.

    Args:
        trial: what says how a build behaves.
        line: builds in order, at least two.
        before: the verdict of the first, which differs from that of the last.
        after: the verdict of the last.
        suspects: positions that a person suspects to begin the change.
        every: look for every change, not only for those that separate the ends.

    Raises:
        Mistaken: see there; only where the script was not known to be noisy.
    """
    if every:
        return _every(trial, line, before, after)
    found = _changes(trial, line, before, after, suspects)
    return [_in_one_time(trial, one) for one in found]


def _changes(
    trial: Trial, line: Sequence[Build], before: Verdict, after: Verdict, suspects: Iterable[int]
) -> list[Found]:
    if not trial.noisy:
        found = _plain(trial, line, before, after, suspects)
        if _hold(trial, line, found):
            return [_found(trial, line, change) for change in found]
        _becomes_noisy(trial, line, before, after)
    if {before, after} == TWO and (believed := _believed(trial, line, before, after)):
        return [believed]
    # Only good and bad have rates; with any other verdict each build is decided by itself.
    return [_found(trial, line, one) for one in _plain(trial, line, before, after, suspects)]


def _becomes_noisy(trial: Trial, line: Sequence[Build], before: Verdict, after: Verdict) -> None:
    """From now on one run is no verdict, nor was it one of the ends of this line.

    Raises:
        Mistaken: see there.
    """
    trial.becomes_noisy()
    low, high = trial.entries([line[0], line[-1]])
    if (low.verdict, high.verdict) != (before, after):
        raise Mistaken


def _hold(trial: Trial, line: Sequence[Build], found: Sequence[Change[Verdict]]) -> bool:
    """Whether the builds that an answer rests on show again what they showed."""
    around = [build for change in found for build, _ in _around(trial, line, change)]
    return trial.repeated(_runs_wanted(trial, line, found), also=around)


def _runs_wanted(
    trial: Trial, line: Sequence[Build], found: Sequence[Change[Verdict]]
) -> dict[Build, int]:
    """How often the builds that an answer rests on must have been run to be believed."""
    seen: Counter[Verdict] = Counter()
    for build in {trial.content(build): build for build in line if trial.was_run(build)}.values():
        seen.update(trial.shown(build))
    wanted: dict[Build, int] = {}
    for change in found:
        for place, other in ((change.last, change.after), (change.first, change.before)):
            runs = trial.repeat.neighbour(seen[other])
            wanted[line[place]] = max(runs, wanted.get(line[place], 0))
    return wanted


def _every(trial: Trial, line: Sequence[Build], before: Verdict, after: Verdict) -> list[Found]:
    """The changes between all builds of a line, or between some that are spread over a long one."""
    parts = min(len(line), EVERY) - 1
    if parts + 1 < len(line):
        trial.lab.listener(
            Notice(
                f"{len(line)} builds are too many: {parts + 1} of them, evenly spread, are probed. "
                "A change that came and went between two of them is not seen."
            )
        )
    places = sorted({round(index * (len(line) - 1) / parts) for index in range(parts + 1)})
    trial.strictness = max(trial.strictness, len(places) / FEW)
    if not trial.noisy:
        turns = _turns(trial, line, places)
        found = [
            change
            for turn in turns
            for change in _bisect(
                trial, line, range(turn.last, turn.first + 1), turn.before, turn.after, {}
            )
        ]
        if _hold(trial, line, found):
            return [_in_one_time(trial, _found(trial, line, change)) for change in found]
        # What looked like a change may have been a single run: now each build is run until its
        # side is sure, before any change is believed.
        _becomes_noisy(trial, line, before, after)
    turns = _turns(trial, line, places)
    if not turns:
        # The ends cannot be told apart as surely as that, so it is somewhere between them.
        inside = line[1:-1] or line[1:]
        unknown = [Entry(build.name, Verdict.UNTESTABLE, trial.said(build)) for build in inside]
        whole = Found(line[0], line[-1], before, after, tuple(unknown), trial.repeat.confidence)
        return [replace(whole, tallies=trial.tallies(line))]
    return [
        one
        for turn in turns
        for one in changes(trial, line[turn.last : turn.first + 1], turn.before, turn.after)
    ]


def _turns(trial: Trial, line: Sequence[Build], places: Sequence[int]) -> list[Change[Verdict]]:
    """Where the verdict changes among some places of a line."""
    entries = trial.entries([line[place] for place in places])
    tested = [
        (place, entry.verdict)
        for place, entry in zip(places, entries, strict=True)
        if entry.verdict is not Verdict.UNTESTABLE
    ]
    return [
        Change(low, high, before, after)
        for (low, before), (high, after) in pairwise(tested)
        if before is not after
    ]


def beyond(trial: Trial, line: Sequence[Build], found: Found) -> str | None:
    """What a few builds on both sides of an answer contradict, if they do."""
    position = {build.name: index for index, build in enumerate(line)}
    last, first = position[found.last.name], position[found.first.name]
    around = _around(trial, line, Change(last, first, found.before, found.after))
    entries = trial.entries([build for build, _ in around])
    for (build, expected), entry in zip(around, entries, strict=True):
        if entry.verdict not in (expected, Verdict.UNTESTABLE):
            return (
                f"The history changes more than once here: {build}, near this change, is "
                f"{entry.verdict}."
            )
    return None


def _around(
    trial: Trial, line: Sequence[Build], change: Change[Verdict]
) -> list[tuple[Build, Verdict]]:
    """The builds on both sides of a change that are looked at, and what they should show."""
    before = range(max(0, change.last - trial.sweep), change.last)
    after = range(change.first + 1, min(len(line), change.first + 1 + trial.sweep))
    return [(line[place], change.before) for place in before] + [
        (line[place], change.after) for place in after
    ]


def _in_one_time(trial: Trial, found: Found) -> Found:
    """A change whose two builds were judged in one environment, or in two that make no difference.

    Where a build was judged in an environment of its own time, its neighbour is judged there, too.
    If that shows something else there, it is not said that Keras makes the difference.
    """
    last, first = (
        trial.lab.judged_in(trial.script, build, trial.tree) for build in (found.last, found.first)
    )
    if last == first:
        return found
    sides = [
        (found.last, last, found.first, found.after),
        (found.first, first, found.last, found.before),
    ]
    for old, era, other, expected in sides:
        if era is None:
            continue
        outcome = trial.lab.in_the_time_of(era, trial.script, other, trial.tree)
        if outcome is None:
            continue
        there = judge(outcome, trial.signature).verdict
        if there is expected:
            return found
        reason = (
            f"judged in the environment of {era.day}, where {other} is {there} and not {expected}: "
            "it may be the environment that makes the difference"
        )
        doubt = Entry(old.name, Verdict.UNTESTABLE, reason)
        return replace(found, between=(*found.between, doubt))
    return found


def _plain(
    trial: Trial, line: Sequence[Build], before: Verdict, after: Verdict, suspects: Iterable[int]
) -> list[Change[Verdict]]:
    """Bisection over suspected positions first, if there are any, then over what is left."""
    end = len(line) - 1
    told: dict[int, Judged] = {}
    some = {place for first in suspects for place in (first - 1, first) if 0 < place < end}
    parts = [Change(0, end, before, after)]
    if some:
        parts = _bisect(trial, line, sorted({0, *some, end}), before, after, told)
    return [
        change
        for part in parts
        for change in _bisect(
            trial, line, range(part.last, part.first + 1), part.before, part.after, told
        )
    ]


def _bisect(
    trial: Trial,
    line: Sequence[Build],
    places: Sequence[int],
    before: Verdict,
    after: Verdict,
    told: dict[int, Judged],
) -> list[Change[Verdict]]:
    """Bisection over some places of a line; the changes it finds are in places of the line."""
    part = [line[place] for place in places]
    costs = trial.lab.costs(trial.script, part, trial.tree, trial.since)
    costs |= {
        index: Cost.NOTHING
        for index, place in enumerate(places)
        if place in told or trial.was_run(line[place])
    }
    search = Bisection(len(part), before, after, costs=costs)
    index_of = {build.name: index for index, build in enumerate(part)}
    jobs = trial.lab.prober.jobs
    while wanted := search.ask(jobs):
        # What could be asked for next is fetched while these are probed.
        trial.lab.prefetch(part[index] for index in search.ask(jobs + 1))
        for build, judged in trial.judged([part[index] for index in wanted]):
            told[places[index_of[build.name]]] = judged
            search.tell(index_of[build.name], _testable(judged.verdict))
        known = search.changes()
        _tell(trial, part, known[0].last, known[-1].first, search.left())
    return [
        Change(
            places[one.last],
            places[one.first],
            one.before,
            one.after,
            tuple(places[index] for index in one.between),
        )
        for one in search.changes()
    ]


def _believed(trial: Trial, line: Sequence[Build], before: Verdict, after: Verdict) -> Found | None:
    """A Bayesian search; what was seen of the line is told first.

    Returns:
        None where a build fails in another way: then there are (at least) two changes.
    """
    belief = Belief(len(line), trial.sides(before, after), trial.repeat.confidence)

    def tell(position: int, verdict: Verdict) -> None:
        if verdict is Verdict.UNTESTABLE:
            belief.exclude(position)
        else:
            belief.tell(position, {before: False, after: True}.get(verdict))

    position = {build.name: index for index, build in enumerate(line)}
    told: set[str] = set()
    for index, build in enumerate(line):
        # What was seen of the ends is in the sides already, and each run counts once.
        if not trial.was_run(build) or trial.content(build) in told or trial.side_of(build):
            continue
        told.add(trial.content(build))
        for verdict in trial.shown(build):
            tell(index, verdict)
    while wanted := belief.ask(trial.lab.prober.jobs):
        for build, judged in trial.run([line[index] for index in wanted]):
            tell(position[build.name], judged.verdict)
            if trial.shown(build).count(Verdict.DIFFERENT) >= OTHERS:
                return None
        change = belief.change()
        _tell(trial, line, change.last, change.first, belief.left())
    change = belief.change()
    posterior = {first: odds for _, first, odds in belief.suspects()}
    between = tuple(
        Entry(
            line[place].name,
            Verdict.UNTESTABLE if place in belief.excluded else _leaning(trial, line[place]),
            trial.said(line[place]),
            posterior.get(place),
        )
        for place in range(change.last + 1, change.first)
    )
    if belief.decided:
        trial.is_sure(before, line[change.last])
        trial.is_sure(after, line[change.first])
    return Found(
        line[change.last],
        line[change.first],
        before,
        after,
        between,
        belief.confidence,
        trial.tallies(line),
    )


def _leaning(trial: Trial, build: Build) -> Verdict:
    """What most runs of a build showed: a hint for whoever reads on, not a verdict."""
    shown = trial.shown(build)
    return max(TWO, key=shown.count) if shown else Verdict.UNTESTABLE


def _found(trial: Trial, line: Sequence[Build], change: Change[Verdict]) -> Found:
    between = tuple(trial.entries_seen[line[place].name] for place in change.between)
    noisy = trial.noisy
    return Found(
        line[change.last],
        line[change.first],
        change.before,
        change.after,
        between,
        trial.repeat.confidence if noisy else 1.0,
        trial.tallies(line) if noisy else (),
    )


def others(trial: Trial, line: Sequence[Build], found: Sequence[Found]) -> str | None:
    """A note on changes that were seen on a line besides those that were found."""
    if trial.noisy:
        # Single runs of such a script contradict each other without any change.
        return None
    seen = [trial.entries_seen[b.name] for b in line if b.name in trial.entries_seen]
    tested = [entry for entry in seen if entry.verdict is not Verdict.UNTESTABLE]
    turns = sum(a.verdict is not b.verdict for a, b in pairwise(tested))
    if turns <= len(found):
        return None
    return f"There are other changes between these ends: {line_of(tested)}. --all narrows each."


def _tell(trial: Trial, line: Sequence[Build], last: int, first: int, steps: int) -> None:
    trial.lab.listener(Narrowed(line[last].name, line[first].name, first - last - 1, steps))


def _testable(verdict: Verdict) -> Verdict | None:
    return None if verdict is Verdict.UNTESTABLE else verdict
