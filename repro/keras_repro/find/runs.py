"""Runs cases under one build, a script and tree implementation once.

With a light backend, what needs neither gradients nor graphs is run under that first, which takes a
fraction of the time. What passes there is taken to pass; all else is run again, so whatever is seen
of a failure is of the prober's backend.

Public: `Runs`.
"""

from __future__ import annotations

import collections
import contextlib
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

from keras_bisect.builds.store import Source
from keras_bisect.errors import HarnessError
from keras_bisect.outcome import Ended, Outcome, Tree
from keras_bisect.probe.prober import Prober, Script, digest
from keras_repro.find.workers import Workers
from keras_repro.reading import AnyCase, render, was_right
from keras_repro.trees.case import TreeCase

__all__ = ["Runs"]

AnyCaseT = TypeVar("AnyCaseT", bound=AnyCase)


class Runs:
    """The runs of one build. Use it as a context manager; safe to share between threads."""

    def __init__(self, prober: Prober, source: Source, light: str = "") -> None:
        """Nothing is started yet.

        Args:
            prober: makes the workers.
            source: the build.
            light: a backend to run first what it can run; empty: none.
        """
        self.workers = Workers(prober, source)
        self._light = Workers(prober, source, light) if light else None
        self.jobs = prober.jobs
        self._build, self._backend = source.build, prober.backend
        self._lock = threading.Lock()
        self._known: dict[tuple[str, Tree], Future[Outcome]] = {}
        self._busy = 0
        self._pool = ThreadPoolExecutor(self.jobs, "ahead")
        self._stopped = False

    def __enter__(self) -> Runs:
        """The runs themselves."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the workers."""
        # What is run ahead ends with its worker.
        self.stop()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self.workers.close()
        if self._light is not None:
            self._light.close()

    def stop(self) -> None:
        """Let what is under way end at its next run."""
        self._stopped = True

    @contextlib.contextmanager
    def lanes(self, tree: Tree, count: int) -> Iterator[Callable[[AnyCase, Script], Outcome]]:
        """What runs as many cases at a time, each in the lane that is free."""
        free: queue.SimpleQueue[Callable[[AnyCase, Script], Outcome]] = queue.SimpleQueue()
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._busy_with(count))
            for _ in range(count):
                free.put(stack.enter_context(self.lane(tree)))

            def run(case: AnyCase, script: Script) -> Outcome:
                lane = free.get()
                try:
                    return lane(case, script)
                finally:
                    free.put(lane)

            yield run

    @contextlib.contextmanager
    def lane(self, tree: Tree) -> Iterator[Callable[[AnyCase, Script], Outcome]]:
        """What runs one case after the other, in workers that nobody else uses meanwhile."""
        worker = self.workers.take(tree)
        light = self._light.take(tree) if self._light is not None else None

        def run(case: AnyCase, script: Script) -> Outcome:
            nonlocal light
            if light is not None and not isinstance(case, TreeCase) and case.light:
                outcome = light.run(script)
                if passed(outcome):
                    return outcome
                if outcome.import_error is not None:
                    # Of this build there is none.
                    light.close()
                    light = None
            return self._imported(worker.run(script))

        try:
            yield run
        finally:
            self.workers.give(worker)
            if self._light is not None and light is not None:
                self._light.give(light)

    def _imported(self, outcome: Outcome) -> Outcome:
        """An outcome of a Keras that imports; without one there is nothing to search."""
        if outcome.import_error is not None:
            raise HarnessError(
                f"Keras {self._build} does not import here with the backend {self._backend}, so "
                f"there is nothing to search: {outcome.import_error}."
            )
        return outcome

    def keep(self, script: Script, tree: Tree, outcome: Outcome) -> None:
        """Remember an outcome, so that it need not be run again."""
        future: Future[Outcome] = Future()
        future.set_result(outcome)
        with self._lock:
            self._known[digest(script), tree] = future

    def outcome(self, case: AnyCase, tree: Tree) -> Outcome:
        """The outcome of a case.

        Raises:
            KeyboardInterrupt: `stop` was called.
            HarnessError: Keras does not import.
        """
        return self._outcome(case, tree, 1)

    def _outcome(self, case: AnyCase, tree: Tree, busy: int) -> Outcome:
        """The outcome of a case, which takes so much of what may run at a time."""
        script = render(case)
        known = digest(script), tree
        with self._lock:
            future = self._known.get(known)
            if future is None:
                mine = self._known[known] = Future()
        if future is not None:
            return future.result()
        try:
            with self._busy_with(busy):
                mine.set_result(self._run(script, tree))
        except BaseException as error:  # noqa: BLE001 - it is raised for all who wait
            with self._lock:
                del self._known[known]
            mine.set_exception(error)
        return mine.result()

    @contextlib.contextmanager
    def _busy_with(self, count: int) -> Iterator[None]:
        with self._lock:
            self._busy += count
        try:
            yield
        finally:
            with self._lock:
                self._busy -= count

    def _run(self, script: Script, tree: Tree) -> Outcome:
        if self._stopped:
            raise KeyboardInterrupt
        worker = self.workers.take(tree)
        try:
            return self._imported(worker.run(script))
        finally:
            self.workers.give(worker)

    def ahead(self, cases: Iterable[AnyCaseT], tree: Tree) -> Iterator[AnyCaseT]:
        """The cases, of which the next ones are run already while one is looked at.

        Only where fewer run than may at a time: late in a search there is but one failure to make
        small, and of ten steps that are tried for it nine lead nowhere.
        """
        left, following = iter(cases), collections.deque[AnyCaseT]()
        for case in left:
            following.append(case)
            with self._lock:
                idle = len(following) > 1 and self._busy < self.jobs - 1
                self._busy += idle
            if idle:
                self._pool.submit(self._look_ahead, case, tree)
            if len(following) == self.jobs:
                yield following.popleft()
        yield from following

    def _look_ahead(self, case: AnyCase, tree: Tree) -> None:
        """Run a case whose place is taken already."""
        try:
            self._outcome(case, tree, 0)
        finally:
            with self._lock:
                self._busy -= 1

    def passes(self, case: AnyCase, tree: Tree) -> bool:
        """Whether a case passes, or is refused as it may be."""
        return passed(self.outcome(case, tree))

    def is_right(self, case: AnyCase, tree: Tree) -> bool:
        """Whether a case passes, and was not refused."""
        return was_right(self.outcome(case, tree))


def passed(outcome: Outcome) -> bool:
    """Whether a script ended well."""
    return outcome.ended is Ended.EXIT and outcome.code == 0
