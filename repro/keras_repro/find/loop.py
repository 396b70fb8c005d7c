"""The search itself: run a batch of cases, learn from what they show, and draw the next.

Everything that is decided is decided between two batches, in the order of the cases; so the same
seed finds the same, however fast the workers are. A search that is interrupted returns what it has.

Public: `search`.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from keras_bisect.builds.store import Source
from keras_bisect.outcome import Ended, Outcome, Tree
from keras_bisect.probe.prober import Prober, Script, digest
from keras_bisect.verdict import judge
from keras_repro.find.condition import Evidence
from keras_repro.find.draw import batches
from keras_repro.find.facts import Facts, facts
from keras_repro.find.kept import Kept
from keras_repro.find.model import Budget, Finding, Found, Searched, size
from keras_repro.find.workers import Workers
from keras_repro.reading import AnyCase, CaseSignature, explain, explain_all, render
from keras_repro.shrink import shrink
from keras_repro.tree_case import TreeCase
from keras_repro.tree_checks import checks_of

__all__ = ["search"]

SURE = 5
"""So many cases that a new condition covers are run before it is believed."""
LOOK_AGAIN = 10
"""Of those that it covers afterwards, one in so many is run."""
QUIET = 1500
"""Cases without anything new, after which a search ends before its budget; more if it took long."""
FORMS = 3
"""Failures of one signature that are told apart by their conditions; and how often it is tried."""
LOG = 2000
"""Cases whose facts are kept, to learn from when something new is found."""


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

    Raises:
        HarnessError: a worker could not be started.
    """
    return _Search(prober, source, trees, budget, listener, kept, against).run(seed)


@dataclass
class _Seen:
    """A failure: where it was first seen, the smallest case with it, and what is known of it."""

    signature: str
    case: AnyCase
    tree: Tree
    examples: int
    evidence: Evidence | None = None
    """None until it was made small."""
    met: int = 0
    """Cases that its condition covered."""
    tried: list[tuple[AnyCase, Facts, bool]] = field(default_factory=list)
    """What shrinking ran: the case, and whether it failed in this way or passed."""
    passing: AnyCase | None = None

    def covers(self, found: Facts) -> bool:
        """Whether it is known how a case fails."""
        return (
            self.evidence is not None
            and self.evidence.reliable
            and self.evidence.condition.covers(found)
        )

    def looks_again(self) -> bool:
        """Whether a case that is covered is run all the same, so that no condition is too wide."""
        self.met += 1
        return self.met <= SURE or self.met % LOOK_AGAIN == 0


@dataclass(frozen=True)
class _Shown:
    """What one run showed, for whoever learns from it later."""

    facts: Facts
    failed: frozenset[str]
    asked: frozenset[str] | None
    """Of a structure, the checks that were made; None for a model, which is one check."""


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
    ) -> None:
        self._prober = prober
        self._source = source
        self._trees = trees
        self._budget = budget
        self._listener = listener
        self._kept = kept
        self._against = against
        self._before: Workers | None = None
        self._seen: dict[str, list[_Seen]] = {}
        self._waiting: list[_Seen] = []
        self._findings: list[tuple[_Seen, Finding]] = []
        self._log: deque[_Shown] = deque(maxlen=LOG)
        # Models and structures have no dimension in common.
        self._drawn: dict[bool, list[Facts]] = {True: [], False: []}
        self._plain: dict[bool, Facts] = {True: facts(TreeCase(1)), False: {}}
        self._examples = self._avoided = self._replayed = 0
        self._spent = 0.0
        self._last = 0
        self._stopped = False
        self._lock = threading.Lock()
        self._known: dict[tuple[str, Tree], Outcome] = {}
        self._start = 0.0
        self._shrinking = 0.0

    # -- the loop ------------------------------------------------------------------------------

    def run(self, seed: int) -> Found:
        self._start = time.monotonic()
        interrupted = False
        with contextlib.ExitStack() as stack:
            workers = stack.enter_context(Workers(self._prober, self._source))
            if self._against is not None:
                self._before = stack.enter_context(Workers(self._prober, self._against))
            try:
                workers.start(self._trees)
                self._replay(workers)
                drawn = batches(self._budget, seed)
                cases = next(drawn)
                while cases and not self._over():
                    cases = self._explore(cases, workers, lambda: next(drawn))
                    self._settle(workers)
                self._settle(workers)
            except KeyboardInterrupt:
                interrupted = self._stopped = True
            seconds = time.monotonic() - self._start - self._shrinking
        findings = [self._told(seen, finding) for seen, finding in self._findings]
        if interrupted:
            findings += self._unshrunk()
        # What is left of a failure when it is small may break other rules than it did.
        findings = [finding for finding in findings if self._budget.wants(finding.reading)]
        findings.sort(key=lambda finding: finding.order)
        if self._kept is not None:
            for finding in findings:
                self._kept.add(finding.case)
        return Found(
            tuple(findings),
            self._examples,
            seconds,
            self._shrinking,
            interrupted,
            self._avoided,
            self._replayed,
        )

    def _over(self) -> bool:
        budget = self._budget
        if budget.first and self._seen:
            return True
        if self._enough():
            return True
        if budget.seconds is None:
            return False
        if time.monotonic() - self._start >= budget.seconds:
            return True
        quiet = self._examples - self._last
        return not budget.deep and quiet > max(QUIET, self._last)

    def _enough(self) -> bool:
        most = self._budget.max_examples
        return most is not None and self._spent >= most

    def _price(self, case: AnyCase) -> float:
        """What a case costs of `max_examples`: structures are free, unless only they are run."""
        if not isinstance(case, TreeCase):
            return 1.0
        return 0.0 if self._budget.models else 1 / self._budget.structures_per_model

    def _replay(self, workers: Workers) -> None:
        cases = self._kept.cases() if self._kept is not None else []
        if not self._budget.models:
            cases = [case for case in cases if isinstance(case, TreeCase)]
        self._replayed = len(cases)
        if cases:
            self._run(cases, [self._trees] * len(cases), workers, lambda: None, count=False)
            self._settle(workers)

    def _explore(
        self, cases: list[AnyCase], workers: Workers, draw: Callable[[], list[AnyCase]]
    ) -> list[AnyCase]:
        """Run a batch, but for what is known to fail, and draw the next one meanwhile."""
        chosen, lanes = [], []
        for case in cases:
            if self._enough() and not (self._budget.models and isinstance(case, TreeCase)):
                continue
            known = facts(case)
            if not isinstance(case, TreeCase) and not self._plain[False]:
                # The first that Hypothesis draws is the plainest.
                self._plain[False] = known
            drawn = self._drawn[isinstance(case, TreeCase)]
            if len(drawn) < LOG:
                drawn.append(known)
            trees = tuple(tree for tree in self._trees if not self._avoids(case, known, tree))
            if not trees:
                self._avoided += 1
                continue
            chosen.append(case)
            lanes.append(trees)
            self._spent += self._price(case)
        following: list[AnyCase] = []
        self._run(chosen, lanes, workers, lambda: following.extend(draw()))
        return following

    def _avoids(self, case: AnyCase, known: Facts, tree: Tree) -> bool:
        if isinstance(case, TreeCase):
            # A structure is asked about all laws at once, and no answer hides another.
            return False
        found = {**known, "tree": tree}
        covering = [s for forms in self._seen.values() for s in forms if s.covers(found)]
        # Each counts what it covers, so all of them are asked.
        again = sum(seen.looks_again() for seen in covering)
        return bool(covering) and not again

    def _run(
        self,
        cases: Sequence[AnyCase],
        trees: Sequence[tuple[Tree, ...]],
        workers: Workers,
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
            for tree in self._trees:
                worker = workers.take(tree)
                stack.callback(workers.give, worker)
                lane = ThreadPoolExecutor(1, f"search-{tree}")
                stack.callback(lane.shutdown, wait=True, cancel_futures=True)
                lanes[tree] = {
                    place: lane.submit(worker.run, script)
                    for place, script in enumerate(scripts)
                    if tree in trees[place]
                }
            meanwhile()
            for place, case in enumerate(cases):
                for tree in trees[place]:
                    outcome = lanes[tree][place].result()
                    if outcome.code != 0:
                        self._keep(scripts[place], tree, outcome)
                    self._look(case, tree, outcome)
                self._examples += count
                self._tell()
                if self._budget.first and self._seen:
                    return
                if self._late():
                    return

    def _late(self) -> bool:
        seconds = self._budget.seconds
        return seconds is not None and time.monotonic() - self._start >= seconds

    def _tell(self) -> None:
        found = sum(map(len, self._seen.values()))
        seconds = time.monotonic() - self._start - self._shrinking
        self._listener(Searched(self._examples, found, len(self._findings), self._avoided, seconds))

    # -- what a run shows ----------------------------------------------------------------------

    def _look(self, case: AnyCase, tree: Tree, outcome: Outcome) -> None:
        found = {**facts(case), "tree": tree}
        failures = list(explain_all(case, outcome))
        passed = not failures and outcome.ended is Ended.EXIT and outcome.code == 0
        if not failures and not passed:
            return
        asked = None
        if isinstance(case, TreeCase):
            asked = frozenset(check.name for check in checks_of(case))
        failed = frozenset(reading.signature for _, reading in failures)
        shown = _Shown(found, failed, asked)
        self._log.append(shown)
        for forms in self._seen.values():
            for seen in forms:
                if seen.evidence is not None and _passes(shown, seen):
                    seen.evidence.add(found, failed=False)
        for small, reading in failures:
            if self._budget.wants(reading) and self._passed_before(small, tree):
                self._failed(_Seen(reading.signature, small, tree, self._examples), found)

    def _failed(self, seen: _Seen, found: Facts) -> None:
        forms = self._seen.setdefault(seen.signature, [])
        if not forms:
            forms.append(seen)
            self._waiting.append(seen)
            self._last = self._examples
            return
        if forms[0].evidence is None:
            if size(seen.case) < size(forms[0].case):
                forms[0].case, forms[0].tree = seen.case, seen.tree
            return
        settled = [form.evidence for form in forms if form.evidence is not None]
        covering = [one for one in settled if one.condition.covers(found)]
        if sum(one.add(found, failed=True) for one in covering or settled):
            return
        # It fails in the same way on another condition: perhaps for another reason.
        if (
            len(forms) == len(settled)
            and len(forms) < FORMS
            and not isinstance(seen.case, TreeCase)
        ):
            forms.append(seen)
            self._waiting.append(seen)

    # -- making it small -----------------------------------------------------------------------

    def _settle(self, workers: Workers) -> None:
        """Make small what is new, and learn its condition."""
        start = time.monotonic()
        waiting, self._waiting = self._waiting, []
        if self._budget.first:
            waiting = waiting[:1]
        try:
            with ThreadPoolExecutor(self._prober.jobs, "shrink") as pool:
                futures = [pool.submit(self._smallest, seen, workers) for seen in waiting]
                try:
                    for seen, future in zip(waiting, futures, strict=True):
                        seen.case = future.result()
                        self._settled(seen, workers)
                        self._tell()
                except BaseException:
                    # Those that are under way end at their next run.
                    self._stopped = True
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise
        finally:
            self._shrinking += time.monotonic() - start

    def _smallest(self, seen: _Seen, workers: Workers) -> AnyCase:
        def same(case: AnyCase) -> bool:
            outcome = self._outcome(case, seen.tree, workers)
            reading = explain(case, outcome)
            failed = reading is not None and reading.signature == seen.signature
            if failed and not self._passed_before(case, seen.tree):
                return False
            if failed or (reading is None and outcome.code == 0):
                seen.tried.append((case, {**facts(case), "tree": seen.tree}, failed))
            return failed

        return shrink(seen.case, same)

    def _settled(self, seen: _Seen, workers: Workers) -> None:
        finding = self._finding(seen, workers)
        found = {**facts(seen.case), "tree": finding.tree}
        forms = self._seen[seen.signature]
        first = forms[0]
        if seen is not first and any(
            form.evidence and form.evidence.condition.meets(found)
            for form in forms
            if form is not seen
        ):
            # It has become small in the way of another form, so it is that.
            forms.remove(seen)
            return
        other = [
            ({**found, "tree": tree}, judged.verdict == "bad")
            for tree, judged in finding.trees.items()
            # That another implementation fails, too, or does not, is evidence like any other.
            if judged.verdict in ("good", "bad")
        ]
        tried = [(its, failed) for _, its, failed in seen.tried]
        logged = [(one.facts, seen.signature in one.failed) for one in self._log]
        fine = [one.facts for one in self._log if _passes(one, seen)]
        seen.evidence = Evidence(
            found,
            self._plain[isinstance(seen.case, TreeCase)],
            failed=[its for its, failed in [*other, *tried, *logged] if failed],
            passed=[its for its, failed in [*other, *tried] if not failed] + fine,
        )
        passed = [(case, f) for case, f, failed in seen.tried if not failed]
        seen.passing = _nearest(seen.case, found, passed)
        self._findings.append((seen, finding))

    def _finding(self, seen: _Seen, workers: Workers) -> Finding:
        case, signature = seen.case, seen.signature
        outcomes = {tree: self._outcome(case, tree, workers) for tree in self._trees}
        judged = {
            tree: judge(outcome, CaseSignature(case, signature))
            for tree, outcome in outcomes.items()
        }
        failing = [tree for tree, one in judged.items() if one.verdict == "bad"] or [seen.tree]
        reading = explain(case, outcomes[failing[0]])
        assert reading is not None
        if len({one.verdict for one in judged.values()} - {"untestable"}) > 1:
            # The implementations disagree, whatever else is broken.
            reading = replace(reading, rules=tuple(dict.fromkeys((*reading.rules, "T9"))))
        raised = outcomes[failing[0]].raised
        return Finding(case, reading, failing[0], judged, seen.examples, raised=raised)

    def _told(self, seen: _Seen, finding: Finding) -> Finding:
        """With what was learned of it until the end."""
        assert seen.evidence is not None
        condition = seen.evidence.condition
        drawn = self._drawn[isinstance(seen.case, TreeCase)]
        met = sum(condition.meets({**one, "tree": finding.tree}) for one in drawn)
        share = met / len(drawn) if drawn else None
        return replace(finding, condition=condition, share=share, passing=seen.passing)

    def _unshrunk(self) -> list[Finding]:
        """What was seen and could not be made small any more."""
        done = {id(seen) for seen, _ in self._findings}
        left = []
        for seen in (one for forms in self._seen.values() for one in forms):
            outcome = self._known.get((digest(render(seen.case)), seen.tree))
            if id(seen) in done or outcome is None:
                continue
            for small, reading in explain_all(seen.case, outcome):
                if reading.signature == seen.signature:
                    trees = {seen.tree: judge(outcome, CaseSignature(small, seen.signature))}
                    left.append(Finding(small, reading, seen.tree, trees, seen.examples))
                    break
        return left

    # -- running -------------------------------------------------------------------------------

    def _passed_before(self, case: AnyCase, tree: Tree) -> bool:
        """Whether a case passes under the other build; without one, it is as if it did."""
        if self._before is None:
            return True
        worker = self._before.take(tree)
        try:
            outcome = worker.run(render(case))
        finally:
            self._before.give(worker)
        return outcome.ended is Ended.EXIT and outcome.code == 0

    def _outcome(self, case: AnyCase, tree: Tree, workers: Workers) -> Outcome:
        script = render(case)
        with self._lock:
            known = self._known.get((digest(script), tree))
        if known is not None:
            return known
        if self._stopped:
            raise KeyboardInterrupt
        worker = workers.take(tree)
        try:
            return self._keep(script, tree, worker.run(script))
        finally:
            workers.give(worker)

    def _keep(self, script: Script, tree: Tree, outcome: Outcome) -> Outcome:
        with self._lock:
            self._known[digest(script), tree] = outcome
        return outcome


def _passes(shown: _Shown, seen: _Seen) -> bool:
    """Whether a run passed what a failure fails."""
    if shown.asked is not None:
        law = seen.case.law if isinstance(seen.case, TreeCase) else None
        return seen.signature not in shown.failed and law in shown.asked
    return not shown.failed and not isinstance(seen.case, TreeCase)


def _nearest(
    case: AnyCase, found: Facts, passed: Iterable[tuple[AnyCase, Facts]]
) -> AnyCase | None:
    """The case that passes and differs least: in the fewest dimensions, then the fewest lines."""
    lines = set(render(case).text.splitlines())

    def apart(one: tuple[AnyCase, Facts]) -> tuple[int, int]:
        other, its = one
        dimensions = sum(found.get(name) != its.get(name) for name in {*found, *its})
        return dimensions, len(lines ^ set(render(other).text.splitlines()))

    return min(passed, key=apart, default=(None, {}))[0]
