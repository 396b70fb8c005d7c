"""The search itself: run a batch of cases, learn from what they show, and draw the next.

Everything that is decided is decided between two batches, in the order of the cases; so the same
seed finds the same, however fast the workers are. A search that is interrupted, or meets a fault of
the toolkit, returns what it has.

Public: `search`, `told_apart`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from keras_bisect.builds.store import Source
from keras_bisect.outcome import Outcome, Tree
from keras_bisect.probe.prober import Prober
from keras_repro.find.draw import batches, fitting
from keras_repro.find.facts import Facts, facts
from keras_repro.find.kept import Kept
from keras_repro.find.model import Budget, Finding, Found, Searched
from keras_repro.find.runs import Runs
from keras_repro.find.seen import Memory, Seen, Shown, with_tree
from keras_repro.find.settle import Settling
from keras_repro.reading import AnyCase, Reading, render
from keras_repro.steps import plainer_around
from keras_repro.trees.case import TreeCase

__all__ = ["search", "told_apart"]

QUIET = 5000
"""Cases without anything new, after which a search ends before its budget; more if it took long."""


def search(
    prober: Prober,
    source: Source,
    *,
    trees: tuple[Tree, ...],
    seed: int,
    budget: Budget,
    listener: Callable[[Searched], None] = lambda _: None,
    kept: Kept | None = None,
    against: Source | None = None,
    light: str = "",
) -> Found:
    """Search a build.

    Args:
        prober: makes the workers.
        source: the build.
        trees: the implementations each case is run under.
        seed: the same seed, build and budget give the same findings, if the budget is no time.
        budget: how much to spend, and on what.
        listener: told how far it is; from several threads.
        kept: cases of earlier searches, which are run first; what is found joins them.
        against: another build; only what passes there counts, and is kept passing there while it
            is made small.
        light: a backend under which what it can run is run first, see `runs`.

    Raises:
        HarnessError: a worker could not be started. After something was found no error is raised:
            it is the `fault` of what is returned.
    """
    return _Search(prober, source, trees, budget, listener, kept, against, light).run(seed)


def told_apart(findings: Iterable[Finding]) -> Iterator[Finding]:
    """The findings without those whose case is another's (its trees fail each in its own way), and
    those that the condition of another explains, as it was learned in the end.
    """
    told: list[Finding] = []
    for finding in findings:
        model = not isinstance(finding.case, TreeCase)
        if model and any(finding.case == one.case or _explains(one, finding) for one in told):
            continue
        told.append(finding)
        yield finding


def _explains(one: Finding, other: Finding) -> bool:
    """Whether another finding is but an instance of one."""
    # What breaks another rule is more than that, though Keras says the same of it.
    alike = _told(one.reading) == _told(other.reading)
    if not alike or one.condition is None:
        return False
    return one.condition.explains(with_tree(facts(other.case), other.tree))


def _told(reading: Reading) -> tuple[object, ...]:
    return reading.signature, reading.strength, reading.rules[:1]


class _Search:
    def __init__(
        self,
        prober: Prober,
        source: Source,
        trees: tuple[Tree, ...],
        budget: Budget,
        listener: Callable[[Searched], None],
        kept: Kept | None,
        against: Source | None,
        light: str,
    ) -> None:
        self._backend = prober.backend
        self._trees = trees
        self._budget = budget
        self._listener = listener
        self._kept = kept
        self._runs = Runs(prober, source, light)
        self._before = Runs(prober, against) if against is not None else None
        self._memory = Memory()
        self._settling = Settling(self._runs, self._memory, trees, self._before)
        self._examples = self._avoided = self._replayed = 0
        self._spent = 0.0
        self._last = 0
        self._start = 0.0
        self._shrinking = 0.0

    # -- the loop ------------------------------------------------------------------------------

    def run(self, seed: int) -> Found:
        self._start = time.monotonic()
        interrupted, fault = False, None
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._runs)
            if self._before is not None:
                stack.enter_context(self._before)
            try:
                self._runs.workers.start(self._trees)
                self._replay()
                drawn = batches(self._budget, seed, self._backend)
                cases = next(drawn)
                while cases and not self._over():
                    cases = self._explore(cases, lambda: next(drawn))
                    self._settle()
                self._settle()
            except KeyboardInterrupt:
                interrupted = True
            except Exception as error:
                # An hour's findings are worth more than a clean end.
                if not self._memory:
                    raise
                fault = error
            seconds = time.monotonic() - self._start - self._shrinking
        early = interrupted or fault is not None
        findings = self._memory.findings(unshrunk=early)
        # What is left of a failure when it is small may break other rules than it did.
        wanted = [finding for finding in findings if self._budget.wants(finding.reading)]
        wanted.sort(key=lambda finding: finding.order)
        wanted = list(told_apart(wanted))
        if self._kept is not None:
            for finding in wanted:
                self._kept.add(finding.case)
        return Found(
            tuple(wanted),
            self._examples,
            seconds,
            self._shrinking,
            interrupted,
            self._avoided,
            self._replayed,
            fault,
        )

    def _over(self) -> bool:
        budget = self._budget
        if self._has_first() or self._enough():
            return True
        if budget.seconds is None:
            return False
        if self._late():
            return True
        quiet = self._examples - self._last
        return not budget.deep and quiet > max(QUIET, self._last)

    def _has_first(self) -> bool:
        """Whether one is enough, and one that is looked for is small."""
        settled = (finding.reading for _, finding in self._memory.settled)
        return self._budget.first and any(map(self._budget.wants, settled))

    def _enough(self) -> bool:
        most = self._budget.max_examples
        return most is not None and self._spent >= most

    def _late(self) -> bool:
        seconds = self._budget.seconds
        return seconds is not None and time.monotonic() - self._start >= seconds

    def _price(self, case: AnyCase) -> float:
        """What a case costs of `max_examples`: structures are free, unless only they are run."""
        if not isinstance(case, TreeCase):
            return 1.0
        return 0.0 if self._budget.models else 1 / self._budget.structures_per_model

    def _replay(self) -> None:
        cases = self._kept.cases() if self._kept is not None else []
        if not self._budget.models:
            cases = [case for case in cases if isinstance(case, TreeCase)]
        cases = list(fitting(cases, self._backend))
        self._replayed = len(cases)
        if cases:
            self._run(cases, [self._trees] * len(cases), lambda: None, count=False)
            self._settle()

    def _explore(self, cases: list[AnyCase], draw: Callable[[], list[AnyCase]]) -> list[AnyCase]:
        """Run a batch, but for what is known to fail, and draw the next one meanwhile."""
        chosen, lanes = [], []
        for case in cases:
            if self._enough() and not (self._budget.models and isinstance(case, TreeCase)):
                continue
            known = facts(case)
            self._memory.draws(case, known)
            trees = self._trees
            if not isinstance(case, TreeCase):
                # A structure is asked about all laws at once, and no answer hides another.
                avoids = self._memory.avoids
                trees = tuple(tree for tree in trees if not avoids(with_tree(known, tree)))
            if not trees:
                self._avoided += 1
                continue
            chosen.append(case)
            lanes.append(trees)
            self._spent += self._price(case)
        following: list[AnyCase] = []
        self._run(chosen, lanes, lambda: following.extend(draw()))
        return following

    def _run(
        self,
        cases: Sequence[AnyCase],
        trees: Sequence[tuple[Tree, ...]],
        meanwhile: Callable[[], None],
        *,
        count: bool = True,
    ) -> None:
        """Run cases, each under its trees. The trees go side by side, each at its own pace; what
        they show is read in the order of the cases, so the pace changes nothing.
        """
        scripts = [render(case) for case in cases]
        with contextlib.ExitStack() as stack:
            lanes: dict[Tree, dict[int, Future[Outcome]]] = {}
            # Results are the same however many run side by side.
            wide = max(1, self._runs.jobs // len(self._trees))
            for tree in self._trees:
                run = stack.enter_context(self._runs.lanes(tree, wide))
                lane = ThreadPoolExecutor(wide, f"search-{tree}")
                stack.callback(lane.shutdown, wait=True, cancel_futures=True)
                lanes[tree] = {
                    place: lane.submit(run, cases[place], script)
                    for place, script in enumerate(scripts)
                    if tree in trees[place]
                }
            meanwhile()
            for place, case in enumerate(cases):
                known = facts(case)
                for tree in trees[place]:
                    outcome = lanes[tree][place].result()
                    if outcome.code != 0:
                        self._runs.keep(scripts[place], tree, outcome)
                    shown = Shown.of(case, with_tree(known, tree), outcome)
                    if shown is not None:
                        self._look(shown, tree, outcome)
                self._examples += count
                self._tell()
                if self._budget.first and self._memory.waiting:
                    self._settle()  # what it is shows when it is small
                if self._has_first() or self._late():
                    return

    def _tell(self) -> None:
        seconds = time.monotonic() - self._start - self._shrinking
        settled = len(self._memory.settled)
        told = Searched(self._examples, len(self._memory), settled, self._avoided, seconds)
        self._listener(told)

    # -- what a run shows ----------------------------------------------------------------------

    def _look(self, shown: Shown, tree: Tree, outcome: Outcome) -> None:
        before = self._before
        if before is not None and shown.failures:
            # What fails there as well says nothing of what is new here.
            found = shown.without(lambda case: before.passes(case, tree))
            if found is None:
                return
            shown = found
        self._memory.look(shown)
        for small, reading in shown.failures:
            if not self._budget.may_want(reading):
                continue
            seen = Seen(small, tree, reading, outcome, self._examples)
            hangs_on = partial(self._hangs_on, seen, shown.facts)
            if self._memory.fails(seen, shown.facts, hangs_on):
                self._last = self._examples

    def _hangs_on(self, seen: Seen, known: Facts, dimensions: Set[str]) -> bool:
        """Whether a case passes with less around it."""
        if isinstance(seen.case, TreeCase):
            return False
        plainer = (
            case
            for case in plainer_around(seen.case)
            if any(facts(case).get(name) != known.get(name) for name in dimensions)
        )
        cases = self._runs.ahead(plainer, seen.tree)
        return any(self._runs.is_right(case, seen.tree) for case in cases)

    def _settle(self) -> None:
        """Make small what is new, and learn its condition."""
        start = time.monotonic()
        waiting, self._memory.waiting = self._memory.waiting, []
        try:
            if self._budget.first:
                while waiting and not self._has_first():
                    self._settling.settle([waiting.pop(0)], self._tell)
            else:
                self._settling.settle(waiting, self._tell)
        finally:
            self._shrinking += time.monotonic() - start
