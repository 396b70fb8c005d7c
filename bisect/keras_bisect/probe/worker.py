"""A process that runs many scripts under one build, one after the other: for a search.

Forking a process a script costs several times what a tiny model costs. A worker executes the text
in its own process instead, each in a namespace of its own. Scripts share what Keras keeps globally,
so what a worker shows is a hint that a probe of its own confirms. A worker that hangs, dies or has
grown is replaced.

Public: `Worker`.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any

import psutil

from keras_bisect.errors import HarnessError
from keras_bisect.outcome import Ended, Outcome, Tree, loaded_of, raised_of
from keras_bisect.probe import child, host
from keras_bisect.probe.pristine import LateTensorflow
from keras_bisect.probe.streams import OUTPUT_KEPT

if TYPE_CHECKING:
    from keras_bisect.builds.store import Source
    from keras_bisect.probe.prober import Prober, Script

RECYCLE_AFTER = 400
"""Scripts a worker runs before it is replaced."""
LOOK_EVERY = 25
"""Scripts between two looks at how much a worker has grown."""
GROWTH_LIMIT = 1 << 30
"""Bytes a worker may grow before it is replaced."""
SHARES = "shares its process with other scripts"
"""What an outcome of a worker depends on beyond all that could be held against it."""


def serve(connection: Connection, spec: host.HostSpec) -> None:
    """The life of a worker: take texts, send an `Outcome` for each, until the connection closes."""
    host.begin_session()
    threading.Thread(target=_end_with_the_toolkit, daemon=True).start()
    folder = tempfile.mkdtemp(prefix="keras-probe-worker-", dir=host.scratch(spec.scratch))
    os.chdir(folder)
    # What scripts leave behind goes with the folder.
    os.environ["TMPDIR"] = folder
    tempfile.tempdir = None
    events: dict[str, Any] = {}
    witness = child.Witness(events.update)
    try:
        child.prepare(spec.path, spec.tree, spec.backend, folder)
        if "tensorflow" in sys.modules:
            sys.meta_path.insert(0, LateTensorflow(spec.path))
        try:
            import keras  # noqa: F401
        except Exception as error:  # noqa: BLE001 - told for every script, as a probe would
            events["import_error"] = child.describe(error, [])
        else:
            events["loaded"] = child.loaded(sys.modules["keras"])
            witness.keep_frames()
        connection.send(None)
        while True:
            text = connection.recv()
            connection.send(_run(text, events, witness))
    except (EOFError, OSError):
        return
    finally:
        os.chdir("/")
        shutil.rmtree(folder, ignore_errors=True)
        host.leave(spec.scratch)


def _end_with_the_toolkit() -> None:
    """A script that hangs must not outlive the toolkit, and sees no closing pipe."""
    host.toolkit().join()
    os.kill(os.getpid(), signal.SIGKILL)


def _run(text: str, events: dict[str, Any], witness: child.Witness) -> Outcome:
    start = time.monotonic()
    events.pop("raised", None)
    witness.frames = []
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = child.execute(text, "repro.py", events.update, witness)
    return Outcome(
        ended=Ended.EXIT,
        code=code,
        seconds=time.monotonic() - start,
        loaded=loaded_of(events.get("loaded")),
        import_error=raised_of(events.get("import_error")),
        raised=raised_of(events.get("raised")),
        stdout=out.getvalue()[:OUTPUT_KEPT],
        stderr=err.getvalue()[:OUTPUT_KEPT],
        beyond=SHARES,
    )


class Worker:
    """The toolkit's side of a worker. Use it as a context manager."""

    def __init__(self, prober: Prober, source: Source, tree: Tree, backend: str = "") -> None:
        """Start it, without waiting for it; with another backend than the prober's if one is named.

        One that needs another warm process cannot be named.
        """
        self.tree = tree
        self._backend = backend
        self._prober = prober
        self._source = source
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None
        self._ready = False
        self._ran = 0
        self._born = 0
        self._start()

    def __enter__(self) -> Worker:
        """The worker itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self.close()

    def begin(self, script: Script) -> None:
        """Give it a script; `result` waits for it. So several workers run side by side."""
        if self._connection is None:
            self._start()
        assert self._connection is not None
        self._wait_ready()
        with contextlib.suppress(OSError):
            # A worker that died is noticed, and replaced, by `result`.
            self._connection.send(script.text)

    def result(self) -> Outcome:
        """The outcome of the script that was begun.

        Raises:
            HarnessError: the process loaded another Keras than it was given.
        """
        assert self._connection is not None and self._process is not None
        start = time.monotonic()
        try:
            answered = self._connection.poll(self._prober.timeout)
            outcome = self._connection.recv() if answered else None
        except (EOFError, OSError):
            self._process.join()
            code = self._process.exitcode or 0
            self.close()
            ended = Ended.SIGNAL if code < 0 else Ended.EXIT
            return Outcome(ended, abs(code), time.monotonic() - start, beyond=SHARES)
        if outcome is None:
            self.close()
            return Outcome(Ended.TIMEOUT, None, time.monotonic() - start, beyond=SHARES)
        self._prober.prove(outcome, self._source)
        self._ran += 1
        if self._ran >= RECYCLE_AFTER or (self._ran % LOOK_EVERY == 0 and self._grown()):
            self.close()
        return outcome  # type: ignore[no-any-return]

    def run(self, script: Script) -> Outcome:
        """`begin`, then `result`."""
        self.begin(script)
        return self.result()

    def _start(self) -> None:
        spec = self._prober.spec(self._source, self.tree, share=True)
        spec = replace(spec, backend=self._backend or spec.backend)
        self._process, self._connection = self._prober.spawn(serve, spec)
        self._ready = False
        self._ran = 0

    def _wait_ready(self) -> None:
        if self._ready or self._connection is None:
            return
        try:
            if not self._connection.poll(max(60.0, self._prober.timeout)):
                raise HarnessError(f"A worker for {self._source.build} did not start.")
            self._connection.recv()
        except (EOFError, OSError):
            raise HarnessError(
                f"A worker for {self._source.build} died while it started."
            ) from None
        self._ready = True
        self._born = self._memory()

    def _grown(self) -> bool:
        return self._memory() - self._born > GROWTH_LIMIT

    def _memory(self) -> int:
        try:
            return int(
                psutil.Process(self._process.pid if self._process else None).memory_info().rss
            )
        except psutil.NoSuchProcess:
            return 0

    def close(self) -> None:
        """End the process. The worker can be used again."""
        if self._process is not None and self._connection is not None:
            self._connection.close()
            self._prober.end(self._process)
        self._process = self._connection = None
