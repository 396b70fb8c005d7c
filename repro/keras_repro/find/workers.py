"""Workers for whoever needs one now: of each tree implementation as many as are asked for at once.

Public: `Workers`.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterable

from keras_bisect.builds.store import Source
from keras_bisect.outcome import Tree
from keras_bisect.probe.prober import Prober
from keras_bisect.probe.worker import Worker

__all__ = ["Workers"]


class Workers:
    """Workers for whoever needs one now; started when they are first needed."""

    def __init__(self, prober: Prober, source: Source, backend: str = "") -> None:
        """Nothing is started yet; see `Worker` for the backend."""
        self._backend = backend
        self._prober = prober
        self._source = source
        self._free: dict[Tree, queue.SimpleQueue[Worker]] = {}
        self._all = contextlib.ExitStack()
        self._lock = threading.Lock()

    def close(self) -> None:
        """End all of them."""
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
        worker = Worker(self._prober, self._source, tree, self._backend)
        with self._lock:
            self._all.callback(worker.close)
        return worker
