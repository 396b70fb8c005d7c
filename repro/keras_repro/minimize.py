"""Anybody's script, made smaller while it stays the same bug.

A script that is cut down by its failure alone soon fails for a reason of its own. So both ends have
a say: a smaller script is kept if it fails in the same way under the bad build *and* passes under
the good one. And both show the same when they are run again, to the last digit where the script
itself does: without its seed, a script passes and fails by chance. What can be taken out is for
`cuts` to say. One step after the other is taken until none is kept, then all again, until nothing
more can go; so the end is reached in some hundred probes, and is always the same.

Public: `minimize`, `Minimized`, `cut`, `Ends`.
"""

from __future__ import annotations

import ast
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice

import black
import black.parsing

from keras_bisect.api import untouched
from keras_bisect.builds.build import Build
from keras_bisect.errors import Inconclusive, NotReproduced
from keras_bisect.events import Stage
from keras_bisect.lab import Lab, Wanted
from keras_bisect.messages import normalise
from keras_bisect.outcome import Outcome, Tree
from keras_bisect.probe.prober import Prober, Script
from keras_bisect.search.ends import Recognise, find_ends
from keras_bisect.search.trial import Repeat
from keras_bisect.verdict import Failure, Signature, Verdict, is_exit_code, judge
from keras_repro.cuts import STEPS, Keep, Parts, Step, parse, text_of

__all__ = ["Ends", "Minimized", "cut", "minimize"]

PATIENCE = 5.0
"""How many times as long as the script itself a smaller one may take: some never end."""
LEAST = 10.0
"""Seconds that a script may take in any case."""
RUNS = 4
"""Runs of each end, since a script that fails at random cannot be judged by one run."""


@dataclass(frozen=True)
class Minimized:
    """The smallest script that was come to, and how."""

    text: str
    signature: Signature
    good: Build
    bad: Build
    probes: int
    seconds: float
    finished: bool
    """Whether nothing more could be taken out; else the budget ended first."""


@dataclass(frozen=True)
class Ends:
    """The builds that have a say."""

    good: Build
    """Where a script passes."""
    bad: Build
    """Where it fails."""
    others: tuple[tuple[Build, Verdict], ...] = ()
    """Where a script that is kept must do what the first one does; not tried of any other."""


@dataclass(frozen=True)
class _Anywhere:
    """A failure that is known by its line, on whatever line: lines move where others go."""

    failure: Failure

    def matches(self, outcome: Outcome) -> bool:
        """Whether an outcome failed in this way, on any line of the script."""
        found = Failure.of(outcome)
        return replace(found, frame="") == self.failure and found.frame.startswith("line ")

    def __str__(self) -> str:
        return str(self.failure)


@dataclass(frozen=True)
class _Telling:
    """A failure that is an exit code, and the last thing that is printed: the code says little."""

    failure: Signature
    told: str

    def matches(self, outcome: Outcome) -> bool:
        """Whether an outcome failed in this way, and said so."""
        return self.failure.matches(outcome) and _told(outcome) == self.told

    def __str__(self) -> str:
        return str(self.failure)


def _told(outcome: Outcome) -> str:
    lines = [line for line in outcome.stdout.splitlines() if line.strip()]
    return normalise(lines[-1]) if lines else ""


def minimize(
    lab: Lab,
    script: Script,
    *,
    good: Build | str | None,
    bad: Build | str | None,
    recognise: Recognise,
    tree: Tree = "optree",
    budget: float = 600.0,
    keep: Keep = lambda _: (),
    smaller: Callable[[str], None] = lambda text: None,
) -> Minimized:
    """Take out of a script what can be taken out.

    Args:
        lab: what probes.
        script: exits 0, 1 or 125.
        good: a build where it passes; looked for if it is None.
        bad: a build where it fails; the newest release if it is None.
        recognise: learns the failure from an outcome of the bad end.
        tree: the tree implementation.
        budget: seconds after which nothing more is tried.
        keep: names what stays as it is.
        smaller: told each script that is kept, so that whoever interrupts it has the last.

    Raises:
        UsageError: there is no such build, or both are one.
        NotReproduced: an end is not what it was said to be, or the result does not show the
            failure in a fresh interpreter.
        Inconclusive: an end cannot be tested, or the script does not always show the same.
    """
    start, probes = time.monotonic(), lab.probes
    ends = untouched(
        lambda: find_ends(
            lab, script, good, bad, recognise=recognise, tree=tree, repeat=Repeat(RUNS)
        )
    )
    if ends.trial.noisy:
        raise Inconclusive(
            "The script does not show the same in every run, so a smaller one could not be told "
            "from one that was lucky. Make it fail always (a seed, more steps), and run again."
        )
    shown = [one for _, _, one in lab.samples(script, [(ends.bad, n) for n in range(RUNS)], tree)]
    signature = _of_any_layout(ends.trial.signature, shown)
    took = max(one.seconds for one in shown)
    lab.prober.timeout = min(lab.prober.timeout, max(LEAST, PATIENCE * took))
    lab.listener(Stage("smaller scripts"))
    both = Ends(ends.good, ends.bad)
    text, finished = cut(lab, script, signature, both, tree, start + budget, keep, smaller=smaller)
    return Minimized(
        text,
        ends.trial.signature,
        ends.good,
        ends.bad,
        lab.probes - probes,
        time.monotonic() - start,
        finished,
    )


def cut(
    lab: Lab,
    script: Script,
    signature: Signature,
    ends: Ends,
    tree: Tree,
    until: float,
    keep: Keep,
    steps: Sequence[Step] = STEPS,
    smaller: Callable[[str], None] = lambda text: None,
) -> tuple[str, bool]:
    """What is left of a script, and whether nothing more could be taken out.

    Args:
        lab: what probes.
        script: what becomes smaller.
        signature: its failure.
        ends: the builds that have a say.
        tree: the tree implementation.
        until: when to stop, as of `time.monotonic`.
        keep: names what stays as it is.
        steps: what may go.
        smaller: told each script that is kept.

    Raises:
        NotReproduced: the result does not show the failure in a fresh interpreter.
    """
    search = _Search(lab, script, signature, ends, tree, until, smaller)
    finished = search.run(keep, steps)
    _verify(lab, search)
    return search.best, finished


def _of_any_layout(signature: Signature, shown: Sequence[Outcome]) -> Signature:
    """The signature, for scripts whose lines are others.

    Args:
        signature: of the script as it is.
        shown: what it showed when it failed.
    """
    if isinstance(signature, Failure) and signature.frame.startswith("line "):
        return _Anywhere(replace(signature, frame=""))
    told = {_told(one) for one in shown}
    if is_exit_code(signature) and len(told) == 1:
        return _Telling(signature, *told)
    return signature


class _Search:
    """Looks for smaller scripts that are still the same bug; has the smallest that was found."""

    def __init__(
        self,
        lab: Lab,
        script: Script,
        signature: Signature,
        ends: Ends,
        tree: Tree,
        until: float,
        smaller: Callable[[str], None],
    ) -> None:
        self.script, self.signature, self.tree = script, signature, tree
        self.good, self.bad, self._others = ends.good, ends.bad, ends.others
        self.best = script.text
        self._lab, self._until, self._smaller = lab, until, smaller
        self._refused: set[str] = set()
        self._exact: dict[str, tuple[bool, ...]] = {}
        """Build -> which parts of what the script shows there are the same in every run."""

    def run(self, keep: Keep, steps: Sequence[Step]) -> bool:
        """Take out what can be taken out; whether that was all, or the time ended first."""
        program = parse(self.script.text)
        for build in (self.bad, self.good):
            one, other = self._twice(self.script.text, build)
            self._exact[build.name] = tuple(a == b for a, b in zip(one, other, strict=True))
        try:
            # Comments go in any case, with what they spoke of.
            if self._first(iter([program])) is None:
                return True
            while True:
                before = ast.dump(program)
                for step in steps:
                    place = 0
                    while True:
                        parts = Parts(program, keep)
                        found = self._first(islice(step(parts), place, None))
                        if found is None:
                            break
                        # Those before it were refused a moment ago.
                        place, program = place + found[0], found[1]
                if ast.dump(program) == before:
                    return True
        except TimeoutError:
            return False

    def _first(self, candidates: Iterator[ast.Module]) -> tuple[int, ast.Module] | None:
        """The first program that is still the same bug, and how many come before it."""
        place = 0
        while batch := list(islice(candidates, max(self._lab.prober.jobs, 1))):
            if time.monotonic() > self._until:
                raise TimeoutError
            texts = [formatted(text_of(one)) for one in batch]
            self._refused |= {text for text in texts if not _compiles(text)}
            shown = self._that_are(Verdict.BAD, self.bad, texts)
            shown = self._that_are(Verdict.GOOD, self.good, shown)
            self._refused |= set(texts) - set(shown)
            for number, text in enumerate(texts):
                if text in shown and self._is_alike_elsewhere(text) and self._is_steady(text):
                    self.best = text
                    self._smaller(text)
                    return place + number, batch[number]
            place += len(batch)
        return None

    def _is_alike_elsewhere(self, text: str) -> bool:
        """Whether a script has the verdicts of the first one under all other builds, too."""
        alike = all(self._that_are(verdict, build, [text]) for build, verdict in self._others)
        if not alike:
            self._refused.add(text)
        return alike

    def _is_steady(self, text: str) -> bool:
        """Whether a script shows the same once more, as far as the one it is made from does."""
        again = self._that_are(Verdict.BAD, self.bad, [text], sample=1)
        again = again and self._that_are(Verdict.GOOD, self.good, [text], sample=1)
        steady = bool(again) and all(
            one == other or not exact
            for build in (self.bad, self.good)
            for one, other, exact in zip(
                *self._twice(text, build), self._exact[build.name], strict=True
            )
        )
        if not steady:
            self._refused.add(text)
        return steady

    def _twice(self, text: str, build: Build) -> tuple[tuple[object, ...], tuple[object, ...]]:
        """What two runs of a script show: what is raised, and what is printed."""
        scripts = [replace(self.script, text=text)]
        one, other = (
            untouched(partial(self._outcomes, scripts, build, sample))[text] for sample in (0, 1)
        )
        return (one.raised, one.stdout), (other.raised, other.stdout)

    def _that_are(
        self, verdict: Verdict, build: Build, texts: list[str], sample: int = 0
    ) -> list[str]:
        """Those of some scripts that a build has a verdict of, in one of its runs."""
        scripts = [replace(self.script, text=text) for text in dict.fromkeys(texts)]
        wanted = [one for one in scripts if one.text not in self._refused]
        outcomes = untouched(partial(self._outcomes, wanted, build, sample))
        return [
            text for text, one in outcomes.items() if judge(one, self.signature).verdict is verdict
        ]

    def _outcomes(self, scripts: list[Script], build: Build, sample: int) -> dict[str, Outcome]:
        source = self._lab.had(build)
        wanted = (Wanted(one, build.name, source, sample) for one in scripts)
        runs = self._lab.runs(wanted, self.tree)
        return {run.script.text: outcome for run, outcome in runs}


def _compiles(text: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        try:
            compile(text, "script", "exec", dont_inherit=True)
        except (SyntaxError, ValueError):
            return False
    return True


def formatted(text: str) -> str:
    """A program as people lay it out."""
    try:
        made = black.format_str(text, mode=black.Mode(magic_trailing_comma=False))
    except (black.parsing.InvalidInput, ValueError):
        return text  # newer than the formatter
    return made if ast.dump(ast.parse(made)) == ast.dump(ast.parse(text)) else text


def _verify(lab: Lab, search: _Search) -> None:
    """Run the result as whoever it is sent to will: in an interpreter of its own."""
    script = replace(search.script, text=search.best)
    given = lab.prober
    with Prober(
        backend=given.backend, timeout=given.timeout, memory=given.memory, start="fresh"
    ) as fresh:
        for build, verdict in ((search.bad, Verdict.BAD), (search.good, Verdict.GOOD)):
            seen = judge(fresh.run(script, lab.source(build), search.tree), search.signature)
            if seen.verdict is not verdict:
                raise NotReproduced(
                    f"In a fresh interpreter the smaller script is {seen.verdict} under {build} "
                    f"({seen.detail}), and should be {verdict}. Run again with --fresh."
                )
