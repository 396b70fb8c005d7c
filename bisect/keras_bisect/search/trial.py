"""One script, one failure, one tree: what builds show of it, and how far that can be trusted.

A script that always shows the same is run once under a build, and its verdict is a fact. One that
does not is *noisy*: then a build's verdict is an inference from several runs, made until it is as
sure as was asked (`noise.py`), and never a vote.

Whether a script is noisy is asked where it matters: at both ends, and at the two builds that an
answer rests on. If the search once took a wrong turn, one of these two belongs to the other side,
and its verdict was a chance. It is run again until that is improbable: with a rate of contradiction
f, m runs of the other side that agree among themselves and r more of this one have the probability
(1-f)^m f^r, which is largest for f = r / (m + r). So the more a search has seen of one side, the
fewer runs it takes to believe a neighbour of the other.

Builds with the same content share their runs; a run counts once, whatever it is called.

Public: `Trial`, `Repeat`, `Hints`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from keras_bisect.builds.build import Build
from keras_bisect.events import Judgement, Notice
from keras_bisect.lab import Lab
from keras_bisect.outcome import Outcome, Tree
from keras_bisect.probe.prober import Script
from keras_bisect.search.noise import Counts, Sides
from keras_bisect.transitions import Entry, Tally
from keras_bisect.verdict import Judged, Signature, Verdict, judge

__all__ = ["Hints", "Repeat", "Trial"]

ENDS = 2
"""Runs of both ends, while nothing contradicts."""
LEARN = 12
"""Runs of both ends once something does, and as many again until they tell both sides apart."""
SAMPLES = 4
"""Runs by which two builds that are not told apart yet are run further."""
UNLIKELY = 0.03
"""How probable a good end must be for more runs of it: there are other releases to try."""
MOST = 60
"""Runs of one build after which it is given up."""
SWEEP = 1
"""Builds on each side of an answer that are looked at, too."""
MUTE = 3
"""Runs that say neither good nor bad, after which a build is not asked again."""


@dataclass(frozen=True)
class Repeat:
    """How often a script is run under one build."""

    runs: int | None = None
    """Of both ends and of both builds the answer rests on; None: as many as it takes. 1: it is
    known to show always the same."""
    confidence: float = 0.99
    """How sure a verdict, and an answer, must be once the script was seen to be noisy."""

    @property
    def doubt(self) -> float:
        """How improbable a single error must be: a search has several occasions for one."""
        return (1 - self.confidence) / 4

    @property
    def ends(self) -> int:
        """Runs of both ends."""
        return self.runs or ENDS

    def neighbour(self, others: int, *, alone: bool = False) -> int:
        """Runs of a build that an answer rests on.

        Args:
            others: runs of the other side, which agreed.
            alone: whether the neighbour on the other side is not run as often, too.

        >>> Repeat().neighbour(3), Repeat().neighbour(8), Repeat(1).neighbour(3)
        (4, 3, 1)
        """
        if self.runs is not None:
            return self.runs
        more = 0
        while True:
            more += 1
            # Where no more was seen of the other side, there is its end.
            m = max(others, ENDS) + (0 if alone else more)
            if m**m * more**more / (m + more) ** (m + more) <= 1 - self.confidence:
                return 1 + more


@dataclass
class Hints:
    """Earlier answers, and what a person suspects: tried first, never believed."""

    nightlies: list[tuple[str, str]] = field(default_factory=list)
    """Neighbours between which a change was found."""
    files: list[tuple[str, ...]] = field(default_factory=list)
    """Sets of files that flipped a verdict."""
    suspects: tuple[str, ...] = ()
    """Commits, or files of the repository."""


class Trial:
    """The verdicts of builds on one failure of one script."""

    def __init__(
        self,
        lab: Lab,
        script: Script,
        signature: Signature,
        tree: Tree = "optree",
        *,
        repeat: Repeat = Repeat(1),
        hints: Hints | None = None,
        since: datetime | None = None,
        sweep: int = SWEEP,
    ) -> None:
        """Hold outcomes of `script` against `signature`.

        Args:
            lab: what probes.
            script: the script.
            signature: the failure that is looked for.
            tree: the tree implementation.
            repeat: how often it is run.
            hints: what is tried first.
            since: when the search began, before all interruptions; see `Lab.costs`.
            sweep: how many builds on each side of an answer are looked at, too.
        """
        self.lab = lab
        self.script = script
        self.signature = signature
        self.tree = tree
        self.repeat = repeat
        self.hints = hints if hints is not None else Hints()
        self.since = since
        self.sweep = sweep
        self.noisy = False
        self.strictness = 1.0
        """How many times less doubt there must be of a build's side than for one search: where all
        builds of a line are asked for theirs, there are as many occasions for an error."""
        self.log: list[Entry] = []
        """Every verdict, in the order in which it became known."""
        self.entries_seen: dict[str, Entry] = {}
        """The last word on each build."""
        self._shown: dict[str, dict[int, Judged]] = {}
        self._contents: dict[str, str] = {}
        self._ends: dict[Verdict, Build] = {}
        self._sure: dict[Verdict, list[Build]] = {}

    # -- verdicts --------------------------------------------------------------------------------

    def judged(self, builds: Sequence[Build]) -> Iterator[tuple[Build, Judged]]:
        """The verdicts of builds, as they become known."""
        if self.noisy:
            yield from self._decided(builds)
            return
        for _, build, outcome in self.lab.outcomes([self.script], builds, self.tree):
            yield build, self._first(build, outcome)

    def _first(self, build: Build, outcome: Outcome) -> Judged:
        judged = judge(outcome, self.signature)
        self._runs(build)[0] = judged
        self._say(build, judged)
        return judged

    def entries(self, builds: Sequence[Build]) -> list[Entry]:
        """The verdicts of builds, in their own order."""
        found = {build.name: judged for build, judged in self.judged(builds)}
        return [Entry(b.name, found[b.name].verdict, found[b.name].detail) for b in builds]

    def verdict(self, build: Build) -> Verdict:
        """The verdict of one build."""
        return next(self.judged([build]))[1].verdict

    def _say(self, build: Build, judged: Judged) -> None:
        entry = Entry(build.name, judged.verdict, judged.detail)
        if self.entries_seen.get(build.name) != entry:
            self.log.append(entry)
        self.entries_seen[build.name] = entry
        self.lab.listener(Judgement(build.name, judged))

    # -- several runs ----------------------------------------------------------------------------

    def run(self, builds: Iterable[Build]) -> Iterator[tuple[Build, Judged]]:
        """One more run of each of these builds; a build may be named more than once."""
        wanted = []
        asked: Counter[str] = Counter()
        for build in builds:
            content = self.content(build)
            wanted.append((build, len(self._runs(build)) + asked[content]))
            asked[content] += 1
        for build, sample, outcome in self.lab.samples(self.script, wanted, self.tree):
            judged = judge(outcome, self.signature)
            self._runs(build)[sample] = judged
            yield build, judged

    def content(self, build: Build) -> str:
        """What builds have in common that share their runs."""
        if build.name not in self._contents:
            self._contents[build.name] = self.lab.identity(self.script, build, self.tree)
        return self._contents[build.name]

    def _runs(self, build: Build) -> dict[int, Judged]:
        return self._shown.setdefault(self.content(build), {})

    def was_run(self, build: Build) -> bool:
        """Whether a verdict of this build is known; nothing is fetched to tell."""
        return build.name in self._contents and bool(self._shown.get(self._contents[build.name]))

    def shown(self, build: Build) -> list[Verdict]:
        """What the runs of a build, or of one with its content, showed, in their order."""
        return _verdicts(self._runs(build)) if self.was_run(build) else []

    def said(self, build: Build) -> str:
        """What the runs of a build showed, in words."""
        shown = self.shown(build)
        return f"bad in {shown.count(Verdict.BAD)} of {len(shown)} runs" if shown else "not run"

    def tallies(self, builds: Iterable[Build]) -> tuple[Tally, ...]:
        """How often each of the builds that were run showed what."""
        return tuple(
            Tally(build.name, dict(Counter(verdicts)))
            for build in builds
            if (verdicts := self.shown(build))
        )

    def repeated(self, wanted: Mapping[Build, int], also: Iterable[Build] = ()) -> bool:
        """Run builds until there are so many runs of each; whether each of them always agreed.

        Args:
            wanted: how many runs of which build.
            also: builds that will be asked for next: run along with these, if they were not yet.
        """
        few = [(build, runs - len(self.shown(build))) for build, runs in wanted.items()]
        few += [(build, 1) for build in also if not self.was_run(build)]
        list(self.run(build for build, missing in few for _ in range(missing)))
        return all(len(set(self.shown(build))) == 1 for build in wanted)

    def calibrate(self, good: Build, bad: Build) -> None:
        """Learn from two builds that are known to be good and bad whether the script is noisy."""
        self._ends = {Verdict.GOOD: good, Verdict.BAD: bad}
        self.repeated(dict.fromkeys((good, bad), self.repeat.ends))
        # An end may have shown what it is said to be in a later run than these.
        if any(set(self.shown(end)) != {side} for side, end in self._ends.items()):
            self.becomes_noisy()

    def passes(self, build: Build, bad: Build) -> bool:
        """Whether a build that passed once is a good one, and not a bad one in luck.

        Both are run until they surely differ, or surely do not.

        Args:
            build: what passed.
            bad: a build that fails, at least in some runs.
        """
        if self.repeat.runs is not None:
            return self.repeated({build: self.repeat.runs})
        bads = Counter(verdict for seen in self._shown.values() for verdict in _verdicts(seen))
        self.repeated({bad: ENDS, build: self.repeat.neighbour(bads[Verdict.BAD], alone=True)})
        while True:
            here, there = ({*self.shown(one)} for one in (build, bad))
            if here == {Verdict.GOOD} and there == {Verdict.BAD}:
                return True
            own, other = (self._counts(one, Verdict.GOOD, Verdict.BAD) for one in (build, bad))
            apart = Sides().apart(own, other)
            if apart >= 1 - self.repeat.doubt:
                return True
            if apart < UNLIKELY or own.runs >= MOST:
                return False
            more = own.runs + SAMPLES
            self.repeated({build: more, bad: max(more, other.runs)})

    def becomes_noisy(self) -> None:
        """From now on one run is no verdict."""
        if self.noisy:
            return
        self.noisy = True
        ends = list(self._ends.values())
        for runs in range(LEARN, MOST, LEARN):
            self.repeated(dict.fromkeys(ends, runs))
            if self._apart():
                break
        counted = "; ".join(
            f"{build}: bad in {self.shown(build).count(Verdict.BAD)} of {len(self.shown(build))}"
            for build in ends
        )
        self.lab.listener(
            Notice(f"The script does not always show the same ({counted} runs). It is repeated.")
        )

    def _apart(self) -> bool:
        """Whether some runs of a build would tell which side it is of."""
        sides = self.sides(Verdict.GOOD, Verdict.BAD)
        seldom, often = (sides.belongs_new(counts) for counts in (Counts(LEARN, 0), Counts(0, 4)))
        return seldom <= self.repeat.doubt and often >= 1 - self.repeat.doubt

    def is_sure(self, side: Verdict, build: Build) -> None:
        """A build that was found to be of a side: from now on its runs say what this side does."""
        self._sure.setdefault(side, []).append(build)
        self._say(build, Judged(side, self.said(build)))

    def side_of(self, build: Build) -> Verdict | None:
        """The side of a build whose runs say what this side does: see `sides`."""
        content = self.content(build)
        for side, builds in self._sides().items():
            if any(self.content(one) == content for one in builds):
                return side
        return None

    def sides(self, before: Verdict, after: Verdict) -> Sides:
        """What the ends, and builds that are as sure, showed of both sides of a change."""

        def counts(side: Verdict) -> Counts:
            builds = {self.content(one): one for one in self._sides().get(side, ())}
            return sum((self._counts(one, before, after) for one in builds.values()), Counts())

        return Sides(counts(before), counts(after))

    def _sides(self) -> dict[Verdict, list[Build]]:
        return {side: [end, *self._sure.get(side, ())] for side, end in self._ends.items()}

    def _counts(self, build: Build, before: Verdict, after: Verdict) -> Counts:
        shown = self.shown(build)
        return Counts(shown.count(before), shown.count(after))

    def _decided(self, builds: Sequence[Build]) -> Iterator[tuple[Build, Judged]]:
        """The verdicts of builds, each from as many runs as it takes."""
        sides = self.sides(Verdict.GOOD, Verdict.BAD)
        left = list(builds)
        while left:
            undecided = []
            for build in left:
                judged = self._inferred(build, sides)
                if judged is None:
                    undecided.append(build)
                    continue
                self._say(build, judged)
                yield build, judged
            left = undecided
            list(self.run(left))

    def _inferred(self, build: Build, sides: Sides) -> Judged | None:
        shown = self.shown(build)
        bad, good = shown.count(Verdict.BAD), shown.count(Verdict.GOOD)
        said = self.said(build)
        side = self.side_of(build)
        if side is not None:
            return Judged(side, said)
        if not bad and not good:
            if len(shown) < MUTE and Verdict.UNTESTABLE not in shown:
                return None
            return self._runs(build)[0]
        doubt = self.repeat.doubt / self.strictness
        probably = sides.belongs_new(Counts(good, bad))
        if probably >= 1 - doubt:
            return Judged(Verdict.BAD, said)
        if probably <= doubt:
            return Judged(Verdict.GOOD, said)
        if len(shown) >= MOST:
            return Judged(Verdict.UNTESTABLE, f"{said}, which is neither good nor bad")
        return None


def _verdicts(shown: Mapping[int, Judged]) -> list[Verdict]:
    """The verdicts of runs in their order."""
    return [shown[sample].verdict for sample in sorted(shown)]
