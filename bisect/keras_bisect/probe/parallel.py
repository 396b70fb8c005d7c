"""Runs jobs in threads, some at a time, and ends them when nobody listens any more.

Public: `Stop`, `in_parallel`.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Protocol, TypeVar

T = TypeVar("T")

Emit = Callable[[T], None]


class Stoppable(Protocol):
    """What can be ended from another thread."""

    def stop(self) -> None:
        """Let whoever waits for it have an error soon."""


class Stop:
    """Ends what still runs, and whatever begins later."""

    def __init__(self) -> None:
        """Nothing runs yet."""
        self._running: set[Stoppable] = set()
        self._lock = threading.Lock()
        self._stopped = False

    @contextlib.contextmanager
    def stops(self, one: Stoppable) -> Iterator[None]:
        """Let `now` stop this one, which it does at once if it came before."""
        with self._lock:
            self._running.add(one)
            if self._stopped:
                one.stop()
        try:
            yield
        finally:
            with self._lock:
                self._running.discard(one)

    def now(self) -> None:
        """Stop everything."""
        with self._lock:
            self._stopped = True
            for one in self._running:
                one.stop()


def in_parallel(
    jobs: Iterable[Callable[[Emit[T]], None]], limit: int, stop: Callable[[], None]
) -> Iterator[T]:
    """Run jobs, some at a time; yield each thing that they emit when they do.

    Args:
        jobs: taken as they are begun; called with a function that takes what there is to yield.
        limit: how many run at a time.
        stop: makes those that still run end soon; called when the caller stops listening, a job
            fails, or Ctrl-C is pressed.
    """
    waiting = iter(jobs)
    running: set[Future[None]] = set()
    # What a job emits is in it before the job itself, so nothing is left when all have ended.
    told: SimpleQueue[tuple[T] | Future[None]] = SimpleQueue()

    def emit(one: T) -> None:
        told.put((one,))

    exhausted = False
    with ThreadPoolExecutor(limit) as pool:
        try:
            while True:
                full = len(running) == limit or (exhausted and bool(running))
                if full or not told.empty():
                    one = told.get()
                    if isinstance(one, tuple):
                        yield from one
                    else:
                        running.discard(one)
                        one.result()
                elif exhausted:
                    return
                # To take one may take its time, as a build is fetched: what there was came first.
                elif (job := next(waiting, None)) is None:
                    exhausted = True
                else:
                    future = pool.submit(job, emit)
                    running.add(future)
                    future.add_done_callback(told.put)
        except BaseException:
            for future in running:
                future.cancel()
            stop()
            raise
