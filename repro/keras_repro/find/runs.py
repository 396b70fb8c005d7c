"""Runs cases under one build, a script and tree implementation once.

Public: `Runs`.
"""

from __future__ import annotations

import threading
from types import TracebackType

from keras_bisect.builds.store import Source
from keras_bisect.outcome import Ended, Outcome, Tree
from keras_bisect.probe.prober import Prober, Script, digest
from keras_repro.find.workers import Workers
from keras_repro.reading import AnyCase, render

__all__ = ["Runs"]


class Runs:
    """The runs of one build. Use it as a context manager; safe to share between threads."""

    def __init__(self, prober: Prober, source: Source) -> None:
        """Nothing is started yet."""
        self.workers = Workers(prober, source)
        self.jobs = prober.jobs
        self._lock = threading.Lock()
        self._known: dict[tuple[str, Tree], Outcome] = {}
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
        self.workers.close()

    def stop(self) -> None:
        """Let what is under way end at its next run."""
        self._stopped = True

    def keep(self, script: Script, tree: Tree, outcome: Outcome) -> Outcome:
        """Remember an outcome, so that it need not be run again."""
        with self._lock:
            self._known[digest(script), tree] = outcome
        return outcome

    def outcome(self, case: AnyCase, tree: Tree) -> Outcome:
        """The outcome of a case.

        Raises:
            KeyboardInterrupt: `stop` was called.
        """
        script = render(case)
        with self._lock:
            known = self._known.get((digest(script), tree))
        if known is not None:
            return known
        if self._stopped:
            raise KeyboardInterrupt
        worker = self.workers.take(tree)
        try:
            return self.keep(script, tree, worker.run(script))
        finally:
            self.workers.give(worker)

    def passes(self, case: AnyCase, tree: Tree) -> bool:
        """Whether a case passes."""
        outcome = self.outcome(case, tree)
        return outcome.ended is Ended.EXIT and outcome.code == 0
