"""Search many builds with one stream of cases: each case is drawn once and run under all of them.

What a case shows under one build and not under another says where Keras changed; and a failure that
no build shows today is found all the same. Nothing is avoided here, as what is known of one build
may be wrong of the next. When all have run, each failure is made small under the newest build that
shows it, and its condition is learned from what the cases showed there.

Public: `search_line`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from keras_bisect.builds.store import Source
from keras_bisect.outcome import Outcome, Tree
from keras_bisect.probe.prober import Prober
from keras_bisect.probe.worker import Worker
from keras_repro.find.draw import batches
from keras_repro.find.facts import Facts, facts
from keras_repro.find.model import Budget, Finding, Found, Searched
from keras_repro.find.runs import Runs
from keras_repro.find.seen import FORMS, Memory, Seen, Shown, with_tree
from keras_repro.find.settle import Settling
from keras_repro.reading import AnyCase, render
from keras_repro.trees.case import TreeCase

__all__ = ["search_line"]


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
        HarnessError: a worker could not be started. After something was found no error is raised:
            it is the `fault` of what is returned.
    """
    return _Line(prober, sources, trees, budget, listener).run(seed)


@dataclass(frozen=True)
class _Run:
    """A case that was run under a build, and what it showed."""

    number: int
    """Of the case, in the stream."""
    tree: Tree
    shown: Shown
    outcome: Outcome | None
    """None where it passed."""


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
        self._cases: list[AnyCase] = []
        self._known: list[Facts] = []
        self._with: dict[Tree, list[Facts]] = {}
        # Of each build and implementation, in the order of the cases.
        self._ran: dict[tuple[int, Tree], list[_Run]] = {}
        self._first: dict[str, int] = {}
        """The first case, of every signature, that showed it under any build."""
        self._memories: list[tuple[Source, Memory]] = []
        self._runs = 0
        self._start = time.monotonic()

    def run(self, seed: int) -> Found:
        interrupted, fault = False, None
        explored: float | None = None
        try:
            self._draw(seed)
            self._explore_all()
            explored = time.monotonic()
            self._settle_all()
        except KeyboardInterrupt:
            interrupted = True
        except Exception as error:
            if not self._first:
                raise
            fault = error
        end = time.monotonic()
        explored = explored or end
        early = interrupted or fault is not None
        if early:
            # What was not looked at yet is shown as it was seen.
            for place in reversed(range(len(self._sources))):
                if all(source is not self._sources[place] for source, _ in self._memories):
                    self._remember(place)
        findings = [one for one in self._findings(early) if self._budget.wants(one.reading)]
        findings.sort(key=lambda finding: finding.order)
        return Found(
            tuple(findings),
            len(self._cases),
            explored - self._start,
            end - explored,
            interrupted,
            fault=fault,
        )

    def _draw(self, seed: int) -> None:
        most = self._budget.max_examples or 150
        units = 0.0
        for batch in batches(self._budget, seed, self._prober.backend):
            for case in batch:
                if not isinstance(case, TreeCase):
                    units += 1
                elif not self._budget.models:
                    units += 1 / self._budget.structures_per_model
                if units <= most:
                    self._cases.append(case)
            if units >= most or not batch:
                break
        self._known = [facts(case) for case in self._cases]
        self._with = {tree: [with_tree(one, tree) for one in self._known] for tree in self._trees}

    # -- running -------------------------------------------------------------------------------

    def _explore_all(self) -> None:
        lanes = [(place, tree) for place in range(len(self._sources)) for tree in self._trees]
        with ThreadPoolExecutor(self._prober.jobs, "line") as pool:
            try:
                list(pool.map(lambda lane: self._explore(*lane), lanes))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _explore(self, place: int, tree: Tree) -> None:
        """Run every case under one build."""
        share = None
        if self._budget.seconds is not None:
            lanes = len(self._sources) * len(self._trees)
            share = self._budget.seconds * self._prober.jobs / lanes
        start = time.monotonic()
        ran = self._ran.setdefault((place, tree), [])
        with Worker(self._prober, self._sources[place], tree) as worker:
            for number, case in enumerate(self._cases):
                if share is not None and time.monotonic() - start >= share:
                    return
                outcome = worker.run(render(case))
                shown = Shown.of(case, self._with[tree][number], outcome)
                with self._lock:
                    self._runs += 1
                    if shown is not None:
                        ran.append(_Run(number, tree, shown, outcome if shown.failed else None))
                        self._note(number, shown)
                self._tell()

    def _note(self, number: int, shown: Shown) -> None:
        for _, reading in shown.failures:
            if self._budget.wants(reading):
                first = self._first.get(reading.signature, number)
                self._first[reading.signature] = min(first, number)

    def _tell(self) -> None:
        with self._lock:
            settled = sum(len(memory.settled) for _, memory in self._memories)
            seconds = time.monotonic() - self._start
            told = Searched(self._runs, len(self._first), settled, 0, seconds)
        self._listener(told)

    # -- what the runs showed ------------------------------------------------------------------

    def _settle_all(self) -> None:
        """The newest build first: what it shows is made small there, and nowhere else."""
        for place in reversed(range(len(self._sources))):
            memory = self._remember(place)
            if not memory.waiting:
                continue
            with Runs(self._prober, self._sources[place]) as runs:
                settling = Settling(runs, memory, self._trees)
                # A failure that the condition does not explain has another: it is settled next.
                for _ in range(FORMS):
                    waiting, memory.waiting = memory.waiting, []
                    settling.settle(waiting, self._tell)
                    for seen, shown in self._failures(place):
                        if seen.signature in memory.signatures:
                            memory.fails(seen, shown.facts)

    def _remember(self, place: int) -> Memory:
        """What the cases showed under a build, but for what a newer one shows, too."""
        newer = {signature for _, memory in self._memories for signature in memory.signatures}
        memory = Memory()
        for case, known in zip(self._cases, self._known, strict=True):
            memory.draws(case, known)
        for run in self._ran_under(place):
            memory.look(run.shown)
        for seen, shown in self._failures(place):
            if seen.signature not in newer:
                memory.fails(seen, shown.facts)
        self._memories.append((self._sources[place], memory))
        return memory

    def _ran_under(self, place: int) -> list[_Run]:
        both = (self._ran.get((place, tree), ()) for tree in self._trees)
        return sorted((run for ran in both for run in ran), key=lambda run: run.number)

    def _failures(self, place: int) -> Iterator[tuple[Seen, Shown]]:
        """The failures under a build, in the order of the cases."""
        for run in self._ran_under(place):
            for small, reading in run.shown.failures:
                if run.outcome is not None and self._budget.wants(reading):
                    first = self._first[reading.signature]
                    yield Seen(small, run.tree, reading, run.outcome, first), run.shown

    def _findings(self, early: bool) -> Iterator[Finding]:
        for source, memory in self._memories:
            for finding in memory.findings(unshrunk=early):
                yield replace(finding, build=source.build)
