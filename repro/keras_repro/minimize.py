"""Anybody's script, made smaller while it stays the same bug.

A script that is cut down by its failure alone soon fails for a reason of its own. So both ends have
a say: a smaller script is kept if it fails in the same way under the bad build *and* passes under
the good one. What to try next is for `pysource-minimize` to say; what it comes to is for us.

Public: `minimize`, `Minimized`.
"""

from __future__ import annotations

import ast
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import pysource_minimize

from keras_bisect.api import untouched
from keras_bisect.builds.build import Build
from keras_bisect.errors import Inconclusive, NotReproduced
from keras_bisect.events import Stage
from keras_bisect.lab import Lab
from keras_bisect.outcome import Outcome, Tree
from keras_bisect.probe.prober import Prober, Script
from keras_bisect.search.ends import Recognise, find_ends
from keras_bisect.search.trial import Repeat
from keras_bisect.verdict import Failure, Signature, Verdict, judge

__all__ = ["Minimized", "minimize"]

PATIENCE = 5.0
"""How many times as long as the script itself a smaller one may take: some never end."""
LEAST = 20.0
"""Seconds that a script may take in any case."""
ENDS = Repeat(4)
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
class _Anywhere:
    """A failure that is known by its line, on whatever line: lines move where others go."""

    failure: Failure

    def matches(self, outcome: Outcome) -> bool:
        """Whether an outcome failed in this way, on any line of the script."""
        found = Failure.of(outcome)
        return replace(found, frame="") == self.failure and found.frame.startswith("line ")

    def __str__(self) -> str:
        return str(self.failure)


def minimize(
    lab: Lab,
    script: Script,
    *,
    good: Build | str | None,
    bad: Build | str | None,
    recognise: Recognise,
    tree: Tree = "optree",
    budget: float = 600.0,
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
        smaller: told each script that is kept, so that whoever interrupts it has the last.

    Raises:
        UsageError: there is no such build, or both are one.
        NotReproduced: an end is not what it was said to be, or the result does not show the
            failure in a fresh interpreter.
        Inconclusive: an end cannot be tested, or the script does not always show the same.
    """
    start, probes = time.monotonic(), lab.probes
    ends = untouched(
        lambda: find_ends(lab, script, good, bad, recognise=recognise, tree=tree, repeat=ENDS)
    )
    if ends.trial.noisy:
        raise Inconclusive(
            "The script does not show the same in every run, so a smaller one could not be told "
            "from one that was lucky. Make it fail always (a seed, more steps), and run again."
        )
    signature = _on_any_line(ends.trial.signature)
    took = lab.outcome(script, ends.bad, tree).seconds
    lab.prober.timeout = min(lab.prober.timeout, max(LEAST, PATIENCE * took))
    lab.listener(Stage("smaller scripts"))
    test = _Test(lab, script, signature, ends.good, ends.bad, tree, start + budget, smaller)
    # Comments and layout go in any case.
    plain = ast.unparse(ast.parse(script.text)) + "\n"
    finished = True
    if test.shows(plain):
        try:
            pysource_minimize.minimize(plain, test)
        except pysource_minimize.StopMinimization:
            finished = False
        finished = finished and not test.ended
    _verify(lab, test)
    return Minimized(
        test.best,
        ends.trial.signature,
        ends.good,
        ends.bad,
        lab.probes - probes,
        time.monotonic() - start,
        finished,
    )


def _on_any_line(signature: Signature) -> Signature:
    if isinstance(signature, Failure) and signature.frame.startswith("line "):
        return _Anywhere(replace(signature, frame=""))
    return signature


class _Test:
    """Whether a script is still the same bug; remembers the smallest that is."""

    def __init__(
        self,
        lab: Lab,
        script: Script,
        signature: Signature,
        good: Build,
        bad: Build,
        tree: Tree,
        until: float,
        smaller: Callable[[str], None],
    ) -> None:
        self.script, self.signature, self.tree = script, signature, tree
        self.wanted = ((bad, Verdict.BAD), (good, Verdict.GOOD))
        self.best = script.text
        self.ended = False
        self._lab, self._until, self._smaller = lab, until, smaller
        self._known: dict[str, bool] = {}

    def __call__(self, text: str) -> bool:
        if time.monotonic() > self._until:
            self.ended = True
            raise pysource_minimize.StopMinimization
        text = text.rstrip() + "\n"
        if text not in self._known:
            self._known[text] = self.shows(text)
        return self._known[text]

    def shows(self, text: str) -> bool:
        """Whether it fails at the bad end as it should, and passes at the good one."""
        script = replace(self.script, text=text)
        for build, verdict in self.wanted:
            outcome = untouched(partial(self._lab.outcome, script, build, self.tree))
            if judge(outcome, self.signature).verdict is not verdict:
                return False
        self.best = text
        self._smaller(text)
        return True


def _verify(lab: Lab, test: _Test) -> None:
    """Run the result as whoever it is sent to will: in an interpreter of its own."""
    script = replace(test.script, text=test.best)
    given = lab.prober
    with Prober(
        backend=given.backend, timeout=given.timeout, memory=given.memory, start="fresh"
    ) as fresh:
        for build, verdict in test.wanted:
            seen = judge(fresh.run(script, lab.source(build), test.tree), test.signature)
            if seen.verdict is not verdict:
                raise NotReproduced(
                    f"In a fresh interpreter the smaller script is {seen.verdict} under {build} "
                    f"({seen.detail}), and should be {verdict}. Run again with --fresh."
                )
