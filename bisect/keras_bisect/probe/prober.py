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
import multiprocessing
import os
import shutil
import sys
import tempfile
import threading
import types
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from importlib.util import decode_source
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal, TypeVar

import psutil

from keras_bisect.bounded import read_bounded
from keras_bisect.builds.store import Source
from keras_bisect.errors import HarnessError, UsageError
from keras_bisect.outcome import Outcome, Tree
from keras_bisect.probe.host import Fault, HostSpec, Job, serve

WARM = "keras_bisect.probe.warm"
SCRATCH = "keras-probe-"
"""The working folders of one `Prober` are in `<temporary folder>/keras-probe-<its process>-…`."""

SCRIPT_LIMIT = 16 << 20
"""Bytes of a script."""

Start = Literal["fork", "fresh"]

T = TypeVar("T")


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
            start: `fork` scripts from the warm process (the default on Linux) or start a `fresh`
                interpreter for each (the default elsewhere: native libraries there do not survive
                a fork).
        """
        self.backend = backend
        self.timeout = timeout
        self.memory = memory
        self.jobs = jobs or os.cpu_count() or 1
        self.start: Start = start or ("fork" if sys.platform == "linux" else "fresh")
        name = f"{SCRATCH}{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._scratch = str(Path(tempfile.gettempdir(), name))
        self._lock = threading.Lock()
        self._hosts: set[BaseProcess] = set()
        self._left: list[BaseProcess] = []
        self._closed = False

    def __enter__(self) -> Prober:
        """Start warming up, without waiting for it."""
        self.warm()
        return self

    def __exit__(self, *_: object) -> None:
        """End every process."""
        self.close()

    def warm(self) -> None:
        """Let the warm process import TensorFlow while the caller does something else."""
        _sweep()
        if self.start == "fork":
            from multiprocessing import forkserver

            self._context()
            with _bare_main():
                forkserver.ensure_running()

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
        stop = _Stop()
        yield from in_parallel(self._grouped(tasks, share, stop), self.jobs, stop.now)

    def _grouped(
        self, tasks: Iterable[Task], share: bool, stop: _Stop
    ) -> Iterator[Callable[[], list[tuple[Task, Outcome]]]]:
        group: list[Task] = []
        for task in tasks:
            same = group and replace(group[0], script=task.script) == task
            if group and not same:
                yield partial(self._run_group, group, share, stop)
                group = []
            if share:
                group.append(task)
            else:
                # It need not wait for the next to be fetched.
                yield partial(self._run_group, [task], share, stop)
        if group:
            yield partial(self._run_group, group, share, stop)

    def _run_group(self, group: list[Task], share: bool, stop: _Stop) -> list[tuple[Task, Outcome]]:
        first = group[0]
        with (
            self.host(
                first.source, first.tree, share=share and len(group) > 1, python=first.python
            ) as host,
            stop.stops(host),
        ):
            return [(task, host.run(task.script)) for task in group]

    @contextlib.contextmanager
    def host(
        self, source: Source, tree: Tree = "optree", *, share: bool = False, python: str = ""
    ) -> Iterator[Host]:
        """A host for several scripts under one build."""
        process, connection = self.spawn(serve, self.spec(source, tree, share=share, python=python))
        try:
            yield Host(self, source, connection, process)
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
        context = self._context()
        with self._lock:
            if self._closed:
                raise HarnessError("The probe was interrupted.")
            ended = [host for host in self._left if host.exitcode is not None]
            self._left = [host for host in self._left if host not in ended]
            self._hosts.difference_update(ended)
            here, there = context.Pipe()
            process: BaseProcess = context.Process(  # type: ignore[attr-defined]
                target=target, args=(there, spec), daemon=False
            )
            with _bare_main():
                process.start()
            there.close()
            self._hosts.add(process)
        return process, here

    def _context(self) -> BaseContext:
        if self.start == "fresh":
            return multiprocessing.get_context("spawn")
        context = multiprocessing.get_context("forkserver")
        # Whoever starts the server first: it imports this once, and only then.
        context.set_forkserver_preload([WARM])
        return context

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
        """Kill a process that `spawn` made."""
        process.kill()
        process.join()
        with self._lock:
            self._hosts.discard(process)

    def close(self) -> None:
        """End every process that is still there. Safe to call twice and from another thread."""
        with self._lock:
            self._closed = True
            hosts = list(self._hosts)
        for process in hosts:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        for process in hosts:
            process.join()
        shutil.rmtree(self._scratch, ignore_errors=True)


class Host:
    """Runs scripts under one build, one after the other."""

    def __init__(
        self, prober: Prober, source: Source, connection: Connection, process: BaseProcess
    ) -> None:
        """Made by `Prober.host`."""
        self._prober = prober
        self._source = source
        self._connection = connection
        self._process = process

    def stop(self) -> None:
        """End it and the script it runs, from another thread: nobody wants the outcome."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()

    def run(self, script: Script) -> Outcome:
        """One probe; see `Prober.run`."""
        folder = str(Path(script.filename).parent) if script.filename else ""
        job = Job(script.text, script.filename, folder, self._prober.timeout, self._prober.memory)
        try:
            self._connection.send(job)
            answer: Outcome | Fault = self._connection.recv()
        except (EOFError, OSError) as error:
            self._process.join(5)
            raise HarnessError(
                f"The process that watched over a probe of {self._source.build} died "
                f"({type(error).__name__}, exit code {self._process.exitcode}). If this "
                "happens again with this script, the script kills processes that are not its own."
            ) from None
        if isinstance(answer, Fault):
            raise HarnessError(answer.message)
        self._prober.prove(answer, self._source)
        return answer


class _Stop:
    """Ends the probes of one `run_all` that are still running when nobody listens any more."""

    def __init__(self) -> None:
        self._hosts: set[Host] = set()
        self._lock = threading.Lock()
        self._stopped = False

    @contextlib.contextmanager
    def stops(self, host: Host) -> Iterator[None]:
        """Let `now` stop this host, which it does at once if it came before."""
        with self._lock:
            self._hosts.add(host)
            if self._stopped:
                host.stop()
        try:
            yield
        finally:
            with self._lock:
                self._hosts.discard(host)

    def now(self) -> None:
        with self._lock:
            self._stopped = True
            for host in self._hosts:
                host.stop()


def in_parallel(
    jobs: Iterable[Callable[[], Sequence[T]]], limit: int, stop: Callable[[], None]
) -> Iterator[T]:
    """Run jobs in threads, some at a time; yield what they return as they end.

    Args:
        jobs: taken as they are begun.
        limit: how many run at a time.
        stop: makes those that still run end soon; called when the caller stops listening, a job
            fails, or Ctrl-C is pressed.
    """
    waiting = iter(jobs)
    running: set[Future[Sequence[T]]] = set()
    with ThreadPoolExecutor(limit) as pool:
        try:
            while True:
                while len(running) < limit and (job := next(waiting, None)) is not None:
                    running.add(pool.submit(job))
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield from future.result()
        finally:
            if running:
                for future in running:
                    future.cancel()
                stop()


def _sweep() -> None:
    """Remove the working folders of runs that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(SCRATCH + "*"):
        owner = folder.name.removeprefix(SCRATCH).partition("-")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _bare_main() -> Iterator[None]:
    """Hide `__main__` from multiprocessing while it starts a process.

    It would import the program of whoever uses this library, once more, in every process: seconds
    for nothing, and a fork bomb for a program without `if __name__ == "__main__"`. Nothing here
    lives in `__main__`.
    """
    kept = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = kept
