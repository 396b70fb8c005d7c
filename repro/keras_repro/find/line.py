"""Search many builds with one stream of cases: each case is drawn once and run under all of them.

What a case shows under one build and not under another says where Keras changed; and a failure that
no build shows today is found all the same. Nothing is avoided here, as what is known of one build
may be wrong of the next. Each failure is made small under the newest build that shows it.

Public: `search_line`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from keras_bisect.builds.store import Source
from keras_bisect.outcome import Tree
from keras_bisect.probe.prober import Prober
from keras_bisect.probe.worker import Worker
from keras_bisect.verdict import judge
from keras_repro.find.draw import batches
from keras_repro.find.model import Budget, Finding, Found, Searched, size
from keras_repro.reading import AnyCase, CaseSignature, explain, explain_all, render
from keras_repro.shrink import shrink
from keras_repro.tree_case import TreeCase

__all__ = ["search_line"]


@dataclass(frozen=True)
class _Failure:
    """A case that failed under a build."""

    place: int
    """Of the build, in the line."""
    case: AnyCase
    tree: Tree
    examples: int

    @property
    def order(self) -> tuple[int, tuple[int, int, str]]:
        """The newest build first, then the simplest case."""
        return -self.place, size(self.case)


def search_line(
    prober: Prober,
    sources: Sequence[Source],
    *,
    trees: tuple[Tree, ...],
    seed: int,
    budget: Budget,
    listener: Callable[[Searched], None] = lambda _: None,
) -> Found:
    """Search builds, from the oldest to the newest.

    Args:
        prober: makes the workers.
        sources: the builds.
        trees: the implementations each case is run under.
        seed: the same seed draws the same cases.
        budget: how many cases; of the time each build is given the same share.
        listener: told how far it is; from several threads.

    Raises:
        HarnessError: a worker could not be started.
    """
    return _Line(prober, sources, trees, budget, listener).run(seed)


class _Line:
    def __init__(
        self,
        prober: Prober,
        sources: Sequence[Source],
        trees: tuple[Tree, ...],
        budget: Budget,
        listener: Callable[[Searched], None],
    ) -> None:
        self._prober = prober
        self._sources = sources
        self._trees = trees
        self._budget = budget
        self._listener = listener
        self._lock = threading.Lock()
        self._failures: dict[str, list[_Failure]] = {}
        self._runs = self._shrunk = 0
        self._start = time.monotonic()

    def run(self, seed: int) -> Found:
        cases = self._cases(seed)
        findings: list[Finding] = []
        interrupted = False
        explored = self._start
        try:
            with ThreadPoolExecutor(self._prober.jobs, "line") as pool:
                lanes = [(p, tree) for p in range(len(self._sources)) for tree in self._trees]
                try:
                    list(pool.map(lambda lane: self._explore(cases, *lane), lanes))
                    explored = time.monotonic()
                    found = sorted(self._failures.items())
                    findings = list(pool.map(lambda one: self._small(one[0], one[1]), found))
                except BaseException:
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise
        except KeyboardInterrupt:
            interrupted = True
        findings = [one for one in findings if self._budget.wants(one.reading)]
        findings.sort(key=lambda finding: finding.order)
        end = time.monotonic()
        explored = max(explored, self._start) if findings else end
        return Found(
            tuple(findings), len(cases), explored - self._start, end - explored, interrupted
        )

    def _cases(self, seed: int) -> list[AnyCase]:
        most = self._budget.max_examples or 150
        found: list[AnyCase] = []
        units = 0.0
        for batch in batches(self._budget, seed):
            for case in batch:
                if not isinstance(case, TreeCase):
                    units += 1
                elif not self._budget.models:
                    units += 1 / self._budget.structures_per_model
                if units <= most:
                    found.append(case)
            if units >= most or not batch:
                return found
        raise AssertionError("batches have no end")

    def _explore(self, cases: Sequence[AnyCase], place: int, tree: Tree) -> None:
        """Run every case under one build."""
        share = None
        if self._budget.seconds is not None:
            lanes = len(self._sources) * len(self._trees)
            share = self._budget.seconds * self._prober.jobs / lanes
        start = time.monotonic()
        with Worker(self._prober, self._sources[place], tree) as worker:
            for number, case in enumerate(cases):
                if share is not None and time.monotonic() - start >= share:
                    return
                outcome = worker.run(render(case))
                for small, reading in explain_all(case, outcome):
                    if self._budget.wants(reading):
                        failure = _Failure(place, small, tree, number)
                        with self._lock:
                            self._failures.setdefault(reading.signature, []).append(failure)
                with self._lock:
                    self._runs += 1
                    told = self._told()
                self._listener(told)

    def _told(self) -> Searched:
        seconds = time.monotonic() - self._start
        return Searched(self._runs, len(self._failures), self._shrunk, 0, seconds)

    def _small(self, signature: str, failures: Sequence[_Failure]) -> Finding:
        best = min(failures, key=lambda one: one.order)
        source = self._sources[best.place]
        with Worker(self._prober, source, best.tree) as worker:

            def same(case: AnyCase) -> bool:
                reading = explain(case, worker.run(render(case)))
                return reading is not None and reading.signature == signature

            case = shrink(best.case, same)
            outcome = worker.run(render(case))
        reading = explain(case, outcome)
        assert reading is not None
        with self._lock:
            self._shrunk += 1
            told = self._told()
        self._listener(told)
        verdict = judge(outcome, CaseSignature(case, signature))
        return Finding(
            case,
            reading,
            best.tree,
            {best.tree: verdict},
            min(one.examples for one in failures),
            raised=outcome.raised,
        )
