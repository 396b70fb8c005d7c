"""Runs scripts under builds, each in a process of its own, some at a time.

    with Prober() as prober:
        outcome = prober.run(script, source, "optree")

Processes: the toolkit → one warm process (`warm.py`, TensorFlow and no keras) → a host a build
(`host.py`) → a script. The wrong Keras on the path, a dead host or a TensorFlow that does not
import raises `HarnessError`: it is never an outcome, so it can never become a verdict.

Public: `Prober`, `Script`, `Task`, `digest`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from importlib.util import decode_source
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal

from keras_bisect.bounded import read_bounded
from keras_bisect.builds.store import Source
from keras_bisect.errors import HarnessError, UsageError
from keras_bisect.outcome import Outcome, Tree
from keras_bisect.probe.handle import GRACE, Host, Unshared
from keras_bisect.probe.host import HostSpec, serve
from keras_bisect.probe.parallel import Emit, Stop, in_parallel
from keras_bisect.probe.processes import kill_all
from keras_bisect.probe.starting import (
    SCRATCH,
    abandon_warming,
    can_fork,
    own_folder,
    start,
    sweep,
    warm_of,
    warm_up,
)

SCRIPT_LIMIT = 16 << 20
"""Bytes of a script."""

PAUSES = (0.0, 0.05, 0.2, 1.0)
"""Seconds that are waited before a process is started again, where the warm one is gone."""

Start = Literal["fork", "fresh"]


@dataclass(frozen=True)
class Script:
    """A program that exits 0 (good), 1 (bad) or 125 (untestable)."""

    text: str
    filename: str = ""
    """The file it was read from; empty for a text that was made."""

    @classmethod
    def read(cls, path: Path) -> Script:
        """Read a file.

        Raises:
            UsageError: it is missing, cannot be read, or is not Python.
        """
        try:
            # As Python does it: UTF-8, unless its first lines say otherwise.
            text = decode_source(read_bounded(path, SCRIPT_LIMIT))
        except OSError as error:
            raise UsageError(f"{path}: the script cannot be read: {error.strerror}.") from None
        except (SyntaxError, UnicodeError, LookupError):
            raise UsageError(
                f"{path}: the script cannot be read: it is not text in UTF-8, or in the encoding "
                "that its first lines name."
            ) from None
        script = cls(text, str(path.resolve()))
        script.check()
        return script

    def check(self) -> None:
        """Refuse what is not Python: it would fail alike under every build.

        Raises:
            UsageError: the syntax error, with its place.
        """
        name = self.filename or "the script"
        try:
            compile(self.text, name, "exec", dont_inherit=True)
        except (SyntaxError, ValueError) as error:
            number = error.lineno if isinstance(error, SyntaxError) else None
            line = "" if number is None else f", line {number}"
            reason = error.msg if isinstance(error, SyntaxError) else str(error)
            raise UsageError(f"{name}{line}: the script is not valid Python: {reason}.") from None
        except (RecursionError, MemoryError):
            raise UsageError(
                f"{name}: the script is nested too deeply for Python to compile. Make its longest "
                "expression several."
            ) from None


def digest(script: Script) -> str:
    """The identity of a script: sha256 of its text."""
    return sha256(script.text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True)
class Task:
    """One probe to make."""

    script: Script
    source: Source
    tree: Tree = "optree"
    python: str = ""
    """The interpreter of another environment, see `Prober.run`; empty: our own."""


class Prober:
    """Probes. Use it as a context manager: leaving it ends every process it started."""

    def __init__(
        self,
        *,
        backend: str = "tensorflow",
        timeout: float = 120.0,
        memory: int = 4 << 30,
        jobs: int | None = None,
        start: Start | None = None,
    ) -> None:
        """Nothing is started yet.

        Args:
            backend: the Keras backend of every probe.
            timeout: seconds a script may take.
            memory: bytes a script and what it starts may hold.
            jobs: probes at a time; as many as there are processors by default.
            start: `fork` scripts from the warm process (the default where that can be done, see
                `can_fork`) or start a `fresh` interpreter for each.
        """
        self.backend = backend
        self.timeout = timeout
        self.memory = memory
        self.jobs = jobs or os.cpu_count() or 1
        self.start: Start = start or ("fork" if can_fork(backend) else "fresh")
        self._scratch = own_folder(SCRATCH)
        self._lock = threading.Lock()
        self._hosts: set[BaseProcess] = set()
        self._left: list[BaseProcess] = []
        self._closed = False
        self._interrupted = 0

    def __enter__(self) -> Prober:
        """Start warming up, without waiting for it."""
        self.warm()
        return self

    def __exit__(self, *_: object) -> None:
        """End every process."""
        self.close()

    def warm(self) -> None:
        """Let the warm process import TensorFlow while the caller does something else."""
        sweep()
        if self.start == "fork":
            warm_up(self.backend)

    def run(
        self, script: Script, source: Source, tree: Tree = "optree", *, python: str = ""
    ) -> Outcome:
        """One probe.

        Args:
            script: what to run.
            source: the sources it finds as keras.
            tree: the tree implementation.
            python: the interpreter of another environment (`era.py`), started anew for the script:
                our warm TensorFlow is not of its time.

        Raises:
            HarnessError: the probe could not be made, or it loaded another Keras than it was given.
        """
        with self.host(source, tree, python=python) as host:
            return host.run(script)

    def run_all(
        self, tasks: Iterable[Task], *, share: bool = False
    ) -> Iterator[tuple[Task, Outcome]]:
        """Probes, `jobs` at a time, in the order in which they end.

        Args:
            tasks: taken as probes become free, so an iterable that fetches builds as it goes is
                fine.
            share: the scripts do nothing before `import keras`, so tasks of one build and tree that
                follow each other may use one import of it.
        """
        stop = Stop()

        def end() -> None:
            stop.now()
            if isinstance(sys.exc_info()[1], KeyboardInterrupt):
                self._interrupted += 1
                abandon_warming()

        yield from in_parallel(self._grouped(tasks, share, stop), self.jobs, end)

    def _grouped(
        self, tasks: Iterable[Task], share: bool, stop: Stop
    ) -> Iterator[Callable[[Emit[tuple[Task, Outcome]]], None]]:
        group: list[Task] = []
        for task in tasks:
            same = group and replace(group[0], script=task.script) == task
            if group and not same:
                yield partial(self._run_group, group, stop)
                group = []
            if share:
                group.append(task)
            else:
                # It need not wait for the next to be fetched.
                yield partial(self._run_group, [task], stop)
        if group:
            yield partial(self._run_group, group, stop)

    def _run_group(self, group: list[Task], stop: Stop, emit: Emit[tuple[Task, Outcome]]) -> None:
        """Run some tasks of one build, by one import of keras if there is more than one."""
        if len(group) > 1:
            with contextlib.suppress(Unshared), self._host_of(group[0], stop, share=True) as host:
                for task in group:
                    emit((task, host.run(task.script)))
                return
        for task in group:
            with self._host_of(task, stop) as host:
                emit((task, host.run(task.script)))

    @contextlib.contextmanager
    def _host_of(self, task: Task, stop: Stop, *, share: bool = False) -> Iterator[Host]:
        with (
            self.host(task.source, task.tree, share=share, python=task.python) as host,
            stop.stops(host),
        ):
            yield host

    @contextlib.contextmanager
    def host(
        self, source: Source, tree: Tree = "optree", *, share: bool = False, python: str = ""
    ) -> Iterator[Host]:
        """A host for several scripts under one build."""
        spec = self.spec(source, tree, share=share, python=python)
        process, connection = self.spawn(serve, spec)
        try:
            yield Host(self, source, connection, process, shares=spec.share)
        finally:
            # The host sees the end of the pipe and ends with all it started. Nobody waits for it.
            connection.close()
            with self._lock:
                self._left.append(process)

    def spec(self, source: Source, tree: Tree, *, share: bool, python: str = "") -> HostSpec:
        """What a process for this build must know."""
        fork = self.start == "fork" and not python
        return HostSpec(
            path=str(source.path),
            tree=tree,
            backend=self.backend,
            fork=fork,
            share=share and fork,
            scratch=self._scratch,
            timeout=self.timeout,
            python=python,
        )

    def spawn(self, target: Callable[..., None], spec: Any) -> tuple[BaseProcess, Connection]:
        """A process forked from the warm one, and the connection to it; ended by `close`."""
        before = self._interrupted
        warm = warm_of(self.backend) if self.start == "fork" else ""

        def check() -> None:
            if self._closed or self._interrupted != before:
                raise HarnessError("The probe was interrupted.")

        with self._lock:
            ended = [host for host in self._left if host.exitcode is not None]
            self._left = [host for host in self._left if host not in ended]
            self._hosts.difference_update(ended)
            check()
            for pause in (*PAUSES, None):
                try:
                    process, connection = start(warm, target, spec)
                    break
                except (EOFError, OSError):
                    check()
                    if pause is None:
                        raise
                    # Another prober of this process may have given up a warm process that both
                    # have. Its death is heard before it is seen.
                    time.sleep(pause)
            self._hosts.add(process)
        return process, connection

    @staticmethod
    def prove(outcome: Outcome, source: Source) -> None:
        """Hold what a probe loaded against what it was given.

        Raises:
            HarnessError: it loaded another Keras.
        """
        if outcome.loaded is None:
            return
        given = Path(source.path, "keras").resolve()
        found = Path(outcome.loaded.path).resolve()
        if not found.is_relative_to(given):
            raise HarnessError(
                f"The probe of {source.build} loaded {found} instead of {given}. The script must "
                "not put another Keras on its path."
            )
        if None not in (outcome.loaded.version, source.version) and (
            outcome.loaded.version != source.version
        ):
            raise HarnessError(
                f"The probe of {source.build} loaded version {outcome.loaded.version} instead of "
                f"{source.version}. The sources were changed while they were used: run again."
            )

    def end(self, process: BaseProcess) -> None:
        """Kill a process that `spawn` made, and all below it."""
        if process.pid is not None:
            kill_all(process.pid)
        process.join(GRACE)
        with self._lock:
            self._hosts.discard(process)

    def close(self) -> None:
        """End every process that is still there. Safe to call twice and from another thread."""
        self._closed = True
        # Somebody may hold the lock until it is warm.
        abandon_warming()
        with self._lock:
            hosts = list(self._hosts)
        for process in hosts:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        deadline = time.monotonic() + GRACE
        for process in hosts:
            process.join(max(0.0, deadline - time.monotonic()))
            if process.exitcode is None:
                # It was stopped, or hangs.
                self.end(process)
        shutil.rmtree(self._scratch, ignore_errors=True)
