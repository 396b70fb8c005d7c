"""Search one build for broken rules, tell what is found apart, and make each of it small.

Hypothesis draws the cases in this process, which never imports keras. A worker for each tree
implementation runs the script of each case, side by side. What an outcome shows is read
(`reading.py`), and its signature says which finding it belongs to: a search goes on after a find,
and keeps the smallest case of each signature. Then each is shrunk (`shrink.py`), some at a time,
and stays the same failure while it gets smaller.

A search that is interrupted returns what it has.

Public: `search`, `draw_cases`, `Budget`, `Finding`, `Found`, `Searched`.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from keras_bisect.builds.store import Source
from keras_bisect.outcome import Outcome, Tree
from keras_bisect.probe.prober import Prober, Script, digest
from keras_bisect.probe.worker import Worker
from keras_bisect.verdict import Judged, judge
from keras_repro.reading import AnyCase, CaseSignature, Reading, explain, render
from keras_repro.shrink import shrink
from keras_repro.tree_case import TreeCase

__all__ = ["Budget", "Finding", "Found", "Searched", "draw_cases", "search"]


@dataclass(frozen=True)
class Budget:
    """How much a search may spend."""

    max_examples: int = 150
    """Models drawn; shrinking comes on top."""
    structures_per_model: int = 2
    """Nested structures drawn for `keras.tree`, for each model; they cost a fiftieth of one."""
    first: bool = False
    """Stop at the first finding."""


@dataclass(frozen=True)
class Finding:
    """A rule, the smallest case that was found to break it, and how."""

    case: AnyCase
    reading: Reading
    tree: Tree
    """The implementation it is shown under: optree, unless only dm-tree shows it."""
    trees: Mapping[Tree, Judged]
    """The verdict under each implementation that was searched."""
    examples: int
    """Cases that had been run when it was first seen."""

    @property
    def signature(self) -> CaseSignature:
        """What is the same failure in another build."""
        return CaseSignature(self.case, self.reading.signature)

    @property
    def script(self) -> Script:
        """The standalone script that shows it."""
        return render(self.case, self.tree)


@dataclass(frozen=True)
class Searched:
    """How far a search is."""

    examples: int
    findings: int
    shrunk: int


@dataclass(frozen=True)
class Found:
    """What a search brought home."""

    findings: tuple[Finding, ...]
    """In the order in which a person wants to read them, see `_order`."""
    examples: int
    """Cases that were drawn and run, without those of shrinking."""
    seconds: float
    """Of drawing and running them."""
    shrinking_seconds: float
    interrupted: bool


def search(
    prober: Prober,
    source: Source,
    *,
    trees: tuple[Tree, ...],
    seed: int,
    budget: Budget,
    listener: Callable[[Searched], None] = lambda _: None,
) -> Found:
    """Search a build.

    Args:
        prober: makes the workers.
        source: the build.
        trees: the implementations each case is run under.
        seed: the same seed, build and budget give the same findings.
        budget: how much to spend.
        listener: told how far it is; from several threads.

    Raises:
        HarnessError: a worker could not be started.
    """
    return _Search(prober, source, trees, budget, listener).run(seed)


@dataclass(frozen=True)
class _Seen:
    """The smallest case with a signature so far."""

    case: AnyCase
    tree: Tree
    examples: int


class _Search:
    def __init__(
        self,
        prober: Prober,
        source: Source,
        trees: tuple[Tree, ...],
        budget: Budget,
        listener: Callable[[Searched], None],
    ) -> None:
        self._prober = prober
        self._source = source
        self._trees = trees
        self._budget = budget
        self._listener = listener
        self._seen: dict[str, _Seen] = {}
        self._examples = 0
        self._shrunk = 0
        self._stopped = False
        self._lock = threading.Lock()
        self._known: dict[tuple[str, Tree], Outcome] = {}

    def run(self, seed: int) -> Found:
        start = between = time.monotonic()
        findings: list[Finding] = []
        interrupted = False
        with _Workers(self._prober, self._source) as workers:
            try:
                workers.start(self._trees)
                self._explore(self._draw(seed), workers)
                between = time.monotonic()
                self._shrink(workers, findings)
            except KeyboardInterrupt:
                interrupted = self._stopped = True
                if between == start:
                    between = time.monotonic()
            end = time.monotonic()
        if interrupted:
            findings += self._unshrunk(findings)
        findings.sort(key=_order)
        return Found(tuple(findings), self._examples, between - start, end - between, interrupted)

    def _draw(self, seed: int) -> Iterable[AnyCase]:
        from keras_repro.strategies import cases, tree_cases

        yield from draw_cases(cases(), self._budget.max_examples, seed)
        structures = self._budget.max_examples * self._budget.structures_per_model
        yield from draw_cases(tree_cases(), structures, seed)

    def _explore(self, drawn: Iterable[AnyCase], workers: _Workers) -> None:
        """Run each case under each tree. The trees go side by side, each at its own pace; what they
        show is read in the order of the cases, so the pace changes nothing.
        """
        cases = list(drawn)
        scripts = [render(case) for case in cases]
        with contextlib.ExitStack() as stack:
            lanes = []
            for tree in self._trees:
                worker = workers.take(tree)
                stack.callback(workers.give, worker)
                lane = ThreadPoolExecutor(1, f"search-{tree}")
                stack.callback(lane.shutdown, wait=True, cancel_futures=True)
                lanes.append((tree, [lane.submit(worker.run, script) for script in scripts]))
            for index, case in enumerate(cases):
                for tree, outcomes in lanes:
                    outcome = outcomes[index].result()
                    self._look(case, tree, self._keep(scripts[index], tree, outcome))
                self._examples += 1
                self._listener(Searched(self._examples, len(self._seen), 0))
                if self._budget.first and self._seen:
                    return

    def _look(self, case: AnyCase, tree: Tree, outcome: Outcome) -> None:
        reading = explain(case, outcome)
        if reading is None:
            return
        seen = self._seen.get(reading.signature)
        if seen is None:
            self._seen[reading.signature] = _Seen(case, tree, self._examples)
        elif _size(case) < _size(seen.case):
            self._seen[reading.signature] = replace(seen, case=case, tree=tree)

    def _shrink(self, workers: _Workers, findings: list[Finding]) -> None:
        """Shrink every signature; what is done is in `findings` even if the rest is interrupted."""
        seen = list(self._seen.items())[: 1 if self._budget.first else None]

        def one(signature: str, start: _Seen) -> None:
            def same(case: AnyCase) -> bool:
                reading = explain(case, self._outcome(case, start.tree, workers))
                return reading is not None and reading.signature == signature

            case = shrink(start.case, same)
            finding = self._finding(case, signature, start, workers)
            with self._lock:
                findings.append(finding)
                self._shrunk += 1
                done = Searched(self._examples, len(self._seen), self._shrunk)
            self._listener(done)

        with ThreadPoolExecutor(self._prober.jobs, "shrink") as pool:
            try:
                for future in [pool.submit(one, *item) for item in seen]:
                    future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _unshrunk(self, findings: Iterable[Finding]) -> list[Finding]:
        """What was seen and could not be shrunk any more."""
        done = {finding.reading.signature for finding in findings}
        left = []
        for signature, seen in self._seen.items():
            outcome = self._known[digest(render(seen.case)), seen.tree]
            reading = explain(seen.case, outcome)
            if signature not in done and reading is not None:
                trees = {seen.tree: judge(outcome, CaseSignature(seen.case, signature))}
                left.append(Finding(seen.case, reading, seen.tree, trees, seen.examples))
        return left

    def _finding(self, case: AnyCase, signature: str, start: _Seen, workers: _Workers) -> Finding:
        outcomes = {tree: self._outcome(case, tree, workers) for tree in self._trees}
        judged = {
            tree: judge(outcome, CaseSignature(case, signature))
            for tree, outcome in outcomes.items()
        }
        failing = [tree for tree, one in judged.items() if one.verdict == "bad"] or [start.tree]
        reading = explain(case, outcomes[failing[0]])
        assert reading is not None
        if len({one.verdict for one in judged.values()} - {"untestable"}) > 1:
            # The implementations disagree, whatever else is broken.
            reading = replace(reading, rules=tuple(dict.fromkeys((*reading.rules, "T9"))))
        return Finding(case, reading, failing[0], judged, start.examples)

    def _outcome(self, case: AnyCase, tree: Tree, workers: _Workers) -> Outcome:
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


class _Workers:
    """Workers for whoever needs one now; started when they are first needed."""

    def __init__(self, prober: Prober, source: Source) -> None:
        self._prober = prober
        self._source = source
        self._free: dict[Tree, queue.SimpleQueue[Worker]] = {}
        self._all = contextlib.ExitStack()
        self._lock = threading.Lock()

    def __enter__(self) -> _Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self._all.close()

    def start(self, trees: Iterable[Tree]) -> None:
        """Start one for each tree, side by side."""
        for tree in trees:
            self.give(self._made(tree))

    def take(self, tree: Tree) -> Worker:
        """A worker that nobody uses."""
        with self._lock:
            free = self._free.setdefault(tree, queue.SimpleQueue())
        with contextlib.suppress(queue.Empty):
            return free.get_nowait()
        return self._made(tree)

    def give(self, worker: Worker) -> None:
        """Let others use it."""
        with self._lock:
            free = self._free.setdefault(worker.tree, queue.SimpleQueue())
        free.put(worker)

    def _made(self, tree: Tree) -> Worker:
        worker = Worker(self._prober, self._source, tree)
        with self._lock:
            self._all.callback(worker.close)
        return worker


def draw_cases(strategy: Any, count: int, seed: int) -> Iterable[AnyCase]:
    """Distinct cases that Hypothesis draws, in its order: the plainest first, then at random."""
    import hypothesis
    from hypothesis import HealthCheck, Phase, Verbosity

    drawn: dict[AnyCase, None] = {}
    if not count:
        return drawn

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        database=None,
        deadline=None,
        derandomize=False,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    @hypothesis.given(strategy)
    def draw(case: AnyCase) -> None:
        drawn.setdefault(case)

    draw()
    return list(drawn)


def _order(finding: Finding) -> tuple[bool, bool, bool, tuple[int, int, str]]:
    """The strongest first; what trains wrongly and says nothing before what is refused; models
    before structures; then the simplest.
    """
    return (
        finding.reading.strength != "contract",
        finding.reading.refused,
        isinstance(finding.case, TreeCase),
        _size(finding.case),
    )


def _size(case: AnyCase) -> tuple[int, int, str]:
    """Simpler is smaller: fewer lines, then fewer characters, then earlier in the alphabet."""
    text = render(case).text
    return text.count("\n"), len(text), text
