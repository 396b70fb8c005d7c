"""Supervises the scripts of one build: a fork (or a fresh interpreter) for each.

A host is a process between the toolkit and the script. It is forked from the warm process, so it
has TensorFlow and no keras; it forks again for each script, bounds the time, the memory and the
output of what it forked, and reports. It leads a session of its own, and so does each script, so a
signal to one does not reach the other. On Linux it adopts the orphans of its scripts (child
subreaper) and the kernel kills a script whose host died. If the toolkit dies, the pipe to it
closes, and the host kills what it started and ends: nothing outlives a `kill -9`.

With `share`, the host imports keras itself, once, and its scripts find it imported. That is for
scripts that are known to do nothing before `import keras`; any other could no longer choose a
backend or hide a module. Where that import fails the host says so and ends (`Said.UNSHARED`): what
is left of a failed import would change how it fails the next time.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import secrets
import selectors
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType

import psutil

from keras_bisect.outcome import Ended, Outcome
from keras_bisect.probe import child
from keras_bisect.probe.launch import fork, fresh
from keras_bisect.probe.pristine import LateTensorflow
from keras_bisect.probe.processes import adopt_orphans, ending, exceeds, kill_descendants, reap
from keras_bisect.probe.streams import OUTPUT_KEPT, Reports, Sink, Tail, drain, pipe

TICK = 0.05
"""Seconds between two looks at the memory of a script."""
TREE_TICK = 0.5
"""Seconds between two looks at the memory of everything it started, which costs more."""
IMPORT_TICK = 0.2
"""Seconds between two looks at whether a shared import of keras is still wanted."""


@dataclass(frozen=True)
class HostSpec:
    """What all scripts of a host have in common."""

    path: str
    """The folder that holds `keras/`."""
    tree: str
    backend: str
    fork: bool
    """Fork the scripts, or start a fresh interpreter for each."""
    share: bool
    """Import keras once, before the scripts are forked."""
    scratch: str
    """The folder for all working folders of one `Prober`; see `scratch` and `leave`."""
    timeout: float
    """Seconds that the import of keras may take if it is shared."""
    python: str = ""
    """The interpreter of another environment (`era.py`), for scripts that are not forked."""


@dataclass(frozen=True)
class Job:
    """One script to run."""

    text: str
    filename: str
    """Its `__file__`; empty: the text becomes `repro.py` in its working folder."""
    folder: str
    """Searched for modules of the script's own; may be empty."""
    timeout: float
    memory: int


class Said(Enum):
    """What a host says beside outcomes and faults."""

    READY = "ready"
    """It has begun: from now on it answers in time."""
    UNSHARED = "unshared"
    """Keras did not import, so nothing can be shared; it has ended."""


@dataclass(frozen=True)
class Fault:
    """What the host sends instead of an outcome: the harness failed, the script did not."""

    message: str


def serve(connection: Connection, spec: HostSpec) -> None:
    """The life of a host: take jobs, send an `Outcome` or a `Fault` each, until the pipe closes."""
    begin_session()
    adopt_orphans()
    signal.signal(signal.SIGTERM, _end)
    if spec.fork and (reason := cold()):
        connection.send(Fault(f"TensorFlow could not be imported: {reason}"))
        return
    home = ""
    try:
        connection.send(Said.READY)
        home = tempfile.mkdtemp(prefix="home-", dir=scratch(spec.scratch))
        host = _Host(connection, spec, home)
        if spec.share and not host.import_keras():
            connection.send(Said.UNSHARED)
            return
        while True:
            try:
                job: Job = connection.recv()
            except EOFError:
                return
            connection.send(host.run(job))
    except (BrokenPipeError, _Terminated):
        return
    except Exception:  # noqa: BLE001 - whatever it is, it is the harness that failed, and is told so
        with contextlib.suppress(OSError):
            connection.send(Fault(f"The host of a probe failed:\n{traceback.format_exc()}"))
    finally:
        kill_descendants()
        if home:
            shutil.rmtree(home, ignore_errors=True)
        leave(spec.scratch)


def begin_session() -> None:
    """Leave the terminal of the toolkit: no Ctrl-C comes from there, and nothing is written to it.

    Whoever starts this process keeps SIGINT from it until it is ignored here.
    """
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    silence()


def silence() -> None:
    """Write nowhere: what a host has to say goes through its connection."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.close(null)


def cold() -> str | None:
    """Why this process was forked from one that is not warm; None if all is well.

    The module is looked up, not imported: importing it is what warms a process, and the toolkit's
    own process, which imports this file for its types, must stay cold.
    """
    warm = sys.modules.get("keras_bisect.probe.warm")
    return "it was not preloaded" if warm is None else warm.error


def scratch(folder: str) -> str:
    """The folder for working folders; the toolkit removes it or, if that is gone, the last host."""
    Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def leave(folder: str) -> None:
    """Remove the folder for working folders if the toolkit is gone and no other host uses it.

    While the toolkit lives the folder stays: another host may be about to make its own in it.
    """
    if not toolkit().is_alive():
        with contextlib.suppress(OSError):
            Path(folder).rmdir()


class _Terminated(BaseException):
    """The toolkit wants no more of this host. Nothing that Keras or a script catches."""


def _end(_signal: int, _frame: FrameType | None) -> None:
    raise _Terminated


class _Host:
    def __init__(self, connection: Connection, spec: HostSpec, home: str) -> None:
        self._connection = connection
        self._spec = spec
        self._home = home

    def import_keras(self) -> bool:
        """Import keras here, for the scripts to come; whether that went well."""
        spec = self._spec
        child.prepare(spec.path, spec.tree, spec.backend, self._home)
        sys.meta_path.insert(0, LateTensorflow(spec.path))
        if not _import_keras(spec.timeout):
            return False
        # The collector would touch, and so copy, every page that the forks share.
        gc.freeze()
        return True

    def run(self, job: Job) -> Outcome | Fault:
        root = scratch(self._spec.scratch)
        with tempfile.TemporaryDirectory(dir=root, ignore_cleanup_errors=True) as folder:
            try:
                return self._supervise(job, folder)
            finally:
                kill_descendants()
                # Settings and downloads of one script are not the next one's.
                keras_home = Path(self._home, child.KERAS_HOME)
                shutil.rmtree(keras_home, ignore_errors=True)
                keras_home.mkdir(exist_ok=True)

    def _supervise(self, job: Job, folder: str) -> Outcome | Fault:
        start = time.monotonic()
        out, err, reports = Tail(), Tail(), Reports(token := secrets.token_hex(8))
        with contextlib.ExitStack() as stack:
            reads, ends = zip(*(pipe(stack) for _ in range(3)), strict=True)
            described = self._job(job, folder, token)
            if self._spec.fork:
                shares = self._spec.share
                pid = fork(described, folder, ends, reads, self._connection, shares=shares)
            else:
                pid = fresh(described, folder, ends, python=self._spec.python)
            for end in ends:
                os.close(end)
            sinks: dict[int, Sink] = dict(zip(reads, (out, err, reports), strict=True))
            ended, code = self._watch(pid, sinks, start, job)
        if reports.fault:
            return Fault(f"The process of a script could not begin:\n{reports.fault}")
        return Outcome(
            ended=ended,
            code=code,
            seconds=time.monotonic() - start,
            loaded=reports.loaded,
            import_error=reports.import_error,
            raised=reports.raised,
            stdout=out.text(),
            stderr=err.text(),
            read=reports.read,
            beyond=reports.beyond,
            touched=reports.touched,
        )

    def _job(self, job: Job, folder: str, token: str) -> dict[str, str]:
        filename = job.filename
        if not filename:
            path = Path(folder, "repro.py")
            path.write_text(job.text, "utf-8")
            filename = str(path)
        spec = self._spec
        return {
            "text": job.text,
            "filename": filename,
            "folder": job.folder,
            "token": token,
            "path": spec.path,
            "tree": spec.tree,
            "backend": spec.backend,
            "home": self._home,
        }

    def _watch(
        self, pid: int, sinks: Mapping[int, Sink], start: float, job: Job
    ) -> tuple[Ended, int | None]:
        """Read what a script writes until it ends, is ended, or nobody wants to know any more."""
        process = psutil.Process(pid)
        tree_due = start + TREE_TICK

        def finish() -> None:
            kill_descendants()
            for fd, sink in sinks.items():
                drain(fd, sink, OUTPUT_KEPT)

        with selectors.DefaultSelector() as selector, ending(pid) as ended:
            for fd in sinks:
                os.set_blocking(fd, False)
                selector.register(fd, selectors.EVENT_READ)
            selector.register(self._connection.fileno(), selectors.EVENT_READ)
            if ended is not None:
                selector.register(ended, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select(TICK if ended is not None else TICK / 5):
                    if key.fd in sinks:
                        if not drain(key.fd, sinks[key.fd], 1):
                            selector.unregister(key.fd)
                    elif key.fd != ended and not self._connection.poll():
                        continue
                    elif key.fd != ended:
                        # Only the end of the toolkit is read here: it sends one job at a time.
                        raise BrokenPipeError
                if (status := reap(pid)) is not None:
                    finish()
                    code = os.waitstatus_to_exitcode(status)
                    return (Ended.SIGNAL, -code) if code < 0 else (Ended.EXIT, code)
                now = time.monotonic()
                if now - start > job.timeout:
                    finish()
                    return Ended.TIMEOUT, None
                if exceeds(process, job.memory, everything=now > tree_due):
                    finish()
                    return Ended.MEMORY, None
                if now > tree_due:
                    tree_due = now + TREE_TICK


def _import_keras(timeout: float) -> bool:
    """Import keras; whether that went well. A failure or a hang is left to scripts to show."""
    deadline = time.monotonic() + timeout

    def look(_signal: int, _frame: FrameType | None) -> None:
        # Nobody looks at the pipe meanwhile.
        if time.monotonic() > deadline or not toolkit().is_alive():
            raise TimeoutError

    previous = signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, IMPORT_TICK, IMPORT_TICK)
    try:
        import keras  # noqa: F401
    except (Exception, SystemExit):  # noqa: BLE001 - told by the script that meets it next
        return False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    return True


def toolkit() -> BaseProcess:
    """The process that wants the outcomes. (The parent of a forked host is the warm process.)"""
    parent = multiprocessing.parent_process()
    assert parent is not None
    return parent
