"""From a change between two releases to the nightlies around it, and to the files that made it.

    releases   3.4.1 ✓ | ✗ 3.5.0
    nightlies  3.4.1.dev2024071903 ✓ | ✗ 3.4.1.dev2024072003
    files      keras/src/trainers/compile_utils.py

Each step takes what the step before found, verifies both ends at the new grain, and narrows.
Nothing is assumed: the nightlies of the day of a release need not behave like the release, so the
ends are looked for around it until they do.

Public: `narrow_to_nightlies`, `narrow_to_files`, `Grain`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from enum import IntEnum

from keras_bisect.builds.build import Build
from keras_bisect.builds.content import changed
from keras_bisect.errors import HarnessError
from keras_bisect.events import Notice, Stage
from keras_bisect.messages import normalise
from keras_bisect.search.commits import is_file
from keras_bisect.search.line import beyond, changes, others
from keras_bisect.search.reduce import MOST, smallest
from keras_bisect.search.trial import Trial
from keras_bisect.transitions import Transition, kind_of
from keras_bisect.verdict import Verdict, is_exit_code
from keras_bisect.wording import counted

__all__ = ["Grain", "narrow_to_files", "narrow_to_nightlies"]

STEPS = (0, 1, 2, 4, 8, 16, 32, 64, 128)
"""Distances, in nightlies, at which an end is looked for around the day of its release."""
PARTS = 8
"""Parts of a line at whose borders a failure is looked for that no nightly near its release has."""

TOO_NOISY = (
    "The runs of the script do not tell which nightlies behave like {} ({}). A script that tries "
    "several times by itself would tell more."
)


class Grain(IntEnum):
    """How far a change is narrowed."""

    RELEASE = 0
    NIGHTLY = 1
    COMMIT = 2
    FILE = 3


def narrow_to_nightlies(
    trial: Trial, transition: Transition, last: Build, first: Build, *, every: bool = False
) -> list[Transition]:
    """The transitions over the nightlies between two builds whose verdicts differ.

    Returns:
        One transition for each change of verdict on the way; or the one given, with a note,
        where the nightlies do not show it.
    """
    line = trial.lab.index.nightlies()
    trial.lab.listener(Stage(f"nightlies between {last} and {first}"))
    ends = _ends(trial, line, transition, last, first)
    if isinstance(ends, str):
        trial.lab.listener(Notice(ends))
        return [replace(transition, notes=(*transition.notes, ends))]
    low, high = _shortcut(trial, line, *ends, transition)
    part = line[low : high + 1]
    found = []
    here = changes(trial, part, transition.before, transition.after, every=every)
    for one in here:
        trial.hints.nightlies.append((one.last.name, one.first.name))
        notes = (others(trial, part, here), beyond(trial, line, one))
        found.append(
            replace(
                transition,
                kind=kind_of(one.before, one.after),
                before=one.before,
                after=one.after,
                last=replace(transition.last, nightly=one.last.name),
                first=replace(transition.first, nightly=one.first.name),
                between=one.between,
                confidence=one.confidence,
                tallies=one.tallies,
                notes=(*transition.notes, *(note for note in notes if note)),
            )
        )
    return found


def _ends(
    trial: Trial, line: Sequence[Build], transition: Transition, last: Build, first: Build
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
    trial.entries([line[low], line[high]])
    found_low = _near(trial, line, low, -1, transition.before, range(high))
    if found_low is None and trial.noisy:
        return TOO_NOISY.format(last, transition.before)
    if found_low is None:
        return (
            f"No nightly before {first} behaves like {last} ({transition.before}), so the "
            "change is not one of the main line: a change made on a release branch, or one "
            "that nightlies show in another way."
        )
    rest = range(found_low + 1, len(line))
    found_high = _near(trial, line, high, +1, transition.after, rest)
    if found_high is None:
        found_high = _inside(trial, line, found_low, high, transition.after)
    if found_high is None and trial.noisy:
        return TOO_NOISY.format(first, transition.after)
    if found_high is None:
        return (
            f"No nightly around {first} behaves like it ({transition.after}), so the change "
            "is not one of the main line: a change made on a release branch, or one that was "
            "taken back there at once."
        )
    return found_low, found_high


def _near(
    trial: Trial, line: Sequence[Build], start: int, direction: int, wanted: Verdict, within: range
) -> int | None:
    """A position with a verdict, as near to `start` as growing steps find one.

    Of two at one distance, the one in `direction`. A branch is cut some days before a release
    and mended apart from the main line, so the nearest nightly can lie on either side.
    """
    for step in STEPS:
        both = dict.fromkeys((start + direction * step, start - direction * step))
        places = [position for position in both if position in within]
        for position, entry in zip(
            places, trial.entries([line[position] for position in places]), strict=True
        ):
            if entry.verdict is wanted:
                return position
    return None


def _inside(
    trial: Trial, line: Sequence[Build], low: int, high: int, wanted: Verdict
) -> int | None:
    """A position with a verdict between two others, the later ones first: it came and went."""
    places = sorted({low + (high - low) * part // PARTS for part in range(1, PARTS)} - {low})
    for position in reversed(places):
        if trial.verdict(line[position]) is wanted:
            return position
    return None


def _shortcut(
    trial: Trial, line: Sequence[Build], low: int, high: int, transition: Transition
) -> tuple[int, int]:
    """Both ends moved to where an earlier answer found a change, if this one is there."""
    position = {build.name: index for index, build in enumerate(line)}
    for last, first in trial.hints.nightlies:
        a, b = position.get(last, -1), position.get(first, -1)
        if not low <= a < b <= high:
            continue
        found = {build.name: judged.verdict for build, judged in trial.judged([line[a], line[b]])}
        if (found[last], found[first]) == (transition.before, transition.after):
            return a, b
    return low, high


def narrow_to_files(trial: Trial, transition: Transition, last: Build, first: Build) -> Transition:
    """The smallest set of changed files that, put on `last`, gives the verdict of `first`."""
    before, after = trial.lab.source(last), trial.lab.source(first)
    candidates = changed(before.files, after.files)
    trial.lab.listener(
        Stage(
            f"{counted(len(candidates), 'changed file')} between {last} and {first}",
            len(candidates),
        )
    )
    if not candidates:
        note = f"{last} and {first} have the same sources: Keras' files make no difference."
        return replace(transition, notes=(*transition.notes, note))

    if trial.noisy and len(candidates) > MOST:
        note = (
            f"{len(candidates)} files changed; the script does not always show the same, so they "
            "were not tried."
        )
        return replace(transition, notes=(*transition.notes, note))

    like = trial.entries_seen.get(first.name)
    # Half of a change can fail in a way of its own, and a verdict does not always tell that.
    strict = like is not None and (
        like.verdict is Verdict.DIFFERENT
        or (like.verdict is Verdict.BAD and is_exit_code(trial.signature))
    )

    def flips(sets: Sequence[tuple[str, ...]]) -> Iterator[tuple[tuple[str, ...], bool]]:
        """Which sets flip the verdict, as the probes end."""
        named = {trial.lab.mix(before, after, files): files for files in sets}
        for build, judged in trial.judged(list(named)):
            same = not strict or like is None or normalise(judged.detail) == normalise(like.detail)
            yield named[build], judged.verdict is transition.after and same

    suspected = [(file,) for file in trial.hints.suspects if file in candidates]
    for file in trial.hints.suspects:
        if is_file(file) and file not in candidates:
            text = (
                f"--suspect {file} helps nothing: {first} and {last} have the same of it, or none."
            )
            trial.lab.listener(Notice(text))
    tried_first = [*suspected, *trial.hints.files]
    found = smallest(candidates, flips, suspects=tried_first)
    if found is None and strict:
        # What is printed may depend on more than the failure.
        strict = False
        found = smallest(candidates, flips, suspects=tried_first)
    if found is None:
        note = f"None of the {len(candidates)} changed files, nor all, flip the verdict of {last}."
        if len(candidates) == 1:
            note = f"{candidates[0]}, all that changed, does not flip the verdict of {last}."
        if len(candidates) > MOST:
            note = f"No single one of the {len(candidates)} changed files flips the verdict."
        return replace(transition, notes=(*transition.notes, note))
    trial.hints.files.append(found)
    return replace(transition, files=found)


def _made(build: Build) -> datetime:
    if build.made is None:
        raise HarnessError(f"The index does not say when {build} was made.")
    return build.made
