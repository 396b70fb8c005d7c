"""The verdict of every build in order, and where it changes. Pure.

Public: `Culprit`, `Entry`, `Place`, `Tally`, `Transition`, `Kind`, `kind_of`, `transitions`,
`as_releases_show`, `origin`, `reference`, `line_of`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from keras_bisect.outcome import Outcome
from keras_bisect.verdict import Failure, Verdict, learn

__all__ = [
    "Culprit",
    "Entry",
    "Kind",
    "Place",
    "Tally",
    "Transition",
    "as_releases_show",
    "kind_of",
    "line_of",
    "origin",
    "reference",
    "transitions",
]

Kind = Literal["introduced", "fixed", "changed"]

SYMBOLS = {Verdict.GOOD: "✓", Verdict.BAD: "✗", Verdict.DIFFERENT: "≠", Verdict.UNTESTABLE: "·"}
"""One character a verdict; told apart by shape, not by colour alone."""


@dataclass(frozen=True)
class Entry:
    """One build on a timeline."""

    build: str
    verdict: Verdict
    detail: str
    """Why, in one line."""
    posterior: float | None = None
    """How probable it is that the change came with this build, where that was reckoned."""


@dataclass(frozen=True)
class Culprit:
    """The commit that a change of verdict comes from."""

    sha: str
    subject: str
    date: str
    """When it was written, ISO 8601, UTC."""
    pull: int | None
    """The number of its pull request."""
    files: tuple[str, ...] = ()
    """The files that it touches."""
    link: str | None = None
    """Where a person reads it."""


@dataclass(frozen=True)
class Tally:
    """How often a build showed what, where a script was run under it several times."""

    build: str
    verdicts: Mapping[Verdict, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """One side of a transition, at each grain; None where it was not narrowed, or there is none."""

    release: str | None = None
    nightly: str | None = None
    commit: str | None = None
    folder: str | None = None
    """A build that is none of these: `path:DIR` or `installed`."""

    @property
    def finest(self) -> str | None:
        """The finest name of a build: what an answer rests on."""
        return self.commit or self.nightly or self.release or self.folder

    @property
    def coarsest(self) -> str | None:
        """The coarsest name of a build: what a person asked about."""
        return self.folder or self.release or self.nightly or self.commit


@dataclass(frozen=True)
class Transition:
    """Two neighbouring builds whose verdicts differ."""

    kind: Kind
    before: Verdict
    after: Verdict
    last: Place
    """The last build with the verdict `before`."""
    first: Place
    """The first build with the verdict `after`."""
    culprit: Culprit | None = None
    """The commit of `first`, where the change was narrowed to one commit."""
    files: tuple[str, ...] = ()
    """A smallest set of files that, put on `last`, flips the verdict; empty if not looked for."""
    between: tuple[Entry, ...] = ()
    """Builds between the two that could not be told apart from `first`, most because they could not
    be tested; if there are any, the answer is a range."""
    confidence: float = 1.0
    """How sure it is; less than 1 only if the script does not always show what it shows."""
    tallies: tuple[Tally, ...] = ()
    """What was counted, if so."""
    notes: tuple[str, ...] = ()
    """What a person must know to read the answer right, such as why it stops at a release."""


def kind_of(before: Verdict, after: Verdict) -> Kind:
    """What a change of verdict is called: a failure begins, ends, or turns into another."""
    if before is Verdict.GOOD:
        return "introduced"
    return "fixed" if after is Verdict.GOOD else "changed"


def transitions(entries: Sequence[Entry]) -> list[Transition]:
    """Where the verdict changes, in order. Untestable builds are passed over, but named."""
    found: list[Transition] = []
    last: Entry | None = None
    between: list[Entry] = []
    for entry in entries:
        if entry.verdict is Verdict.UNTESTABLE:
            between.append(entry)
            continue
        if last is not None and last.verdict is not entry.verdict:
            found.append(
                Transition(
                    kind_of(last.verdict, entry.verdict),
                    last.verdict,
                    entry.verdict,
                    Place(release=last.build),
                    Place(release=entry.build),
                    between=tuple(between),
                )
            )
        last, between = entry, []
    return found


def as_releases_show(changes: Sequence[Transition]) -> list[Transition]:
    """Changes, but for stages between two neighbouring releases that neither of them shows."""
    shown: list[Transition] = []
    for one in changes:
        if shown and one.last.release and _releases(shown[-1]) == _releases(one):
            before = shown.pop()
            kind = kind_of(before.before, one.after)
            one = replace(one, before=before.before, last=before.last, kind=kind)
        shown.append(one)
    return shown


def origin(change: Transition, changes: Sequence[Transition]) -> Transition:
    """Where a change into a failure comes from: the last one before it that ends what passes.

    Whoever makes another failure of a failure is not to be blamed for it. Where nothing ever
    passed, it is the last stage of the change itself.

    Args:
        change: as releases show it.
        changes: all of them, in order, at their finest.
    """
    ends = [place for place, one in enumerate(changes) if one.first == change.first]
    until = changes[: ends[-1] + 1] if ends else [change]
    passed = [one for one in until if one.before is Verdict.GOOD]
    return (passed or until)[-1]


def _releases(one: Transition) -> tuple[str | None, str | None]:
    return one.last.release, one.first.release


def reference(outcomes: Sequence[Outcome]) -> Failure | None:
    """The failure that a timeline without a given bad build is judged by; None if nothing fails.

    It is the one that most builds show; of several, the one that the newest build shows.
    """
    failures = [Failure.of(outcome) for outcome in outcomes if learn(outcome) is not None]
    # An import that fails, or a hang, is a failure to go by only if no script failed.
    telling = [f for f in failures if not f.importing and f.code is not None] or failures
    if not telling:
        return None
    counts = Counter(telling)
    return max(reversed(telling), key=lambda failure: counts[failure])


def line_of(entries: Sequence[Entry]) -> str:
    """A timeline as one line: runs of one verdict, each with its first and last build.

    >>> verdicts = {"3.0.0": Verdict.GOOD, "3.1.0": Verdict.GOOD, "3.2.0": Verdict.BAD}
    >>> line_of([Entry(build, verdict, "") for build, verdict in verdicts.items()])
    '✓ 3.0.0-3.1.0  ✗ 3.2.0'
    """
    runs: list[list[Entry]] = []
    for entry in entries:
        if runs and runs[-1][0].verdict is entry.verdict:
            runs[-1].append(entry)
        else:
            runs.append([entry])
    parts = []
    for run in runs:
        ends = run[0].build if len(run) == 1 else f"{run[0].build}-{run[-1].build}"
        parts.append(f"{SYMBOLS[run[0].verdict]} {ends}")
    return "  ".join(parts)
