"""Keeps TensorFlow imported between the steps of a `git bisect run`.

git starts a new process for each step. The first of them leaves a server behind, whose prober is
warm; the others only ask it (`client.py`). The server watches the `git` that runs the bisect and
ends with it, with all it started. It is a convenience and never needed: whoever gets no answer
makes the probe itself (`Probe`), and an answer is the same either way.

    <temporary folder>/keras-bisect-USER-PID-BORN/    of the git process; mode 0700
        IDENTITY                                      the socket, one JSON document a line

A request is one line. The answer is a line with `outcome` or `fault`, after a line with `busy` each
second, by which a server that works is told from one that hangs. A client that goes away takes its
probe with it.

Public: `Probe`, `Request`, `Run`, `serve`; for the client `connect`, `encode`, `send_signal`.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import struct
import sys
import tempfile
import traceback
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from typing import Any

from keras_bisect.builds.build import Build
from keras_bisect.builds.store import Store
from keras_bisect.errors import KerasBisectError, UsageError
from keras_bisect.outcome import Outcome, Raised, Tree, outcome_document
from keras_bisect.probe.host import silence
from keras_bisect.probe.prober import Prober, Script, Start

__all__ = ["Probe", "Request", "Run", "connect", "encode", "send_signal", "serve"]

FOLDER = "keras-bisect-"
READY = b"ready\n"
"""What a server writes to its standard output, once it listens."""
TICK = 0.25
"""Seconds between two looks of the server at the git it watches."""
BEAT = 1.0
"""Seconds between two lines to a client that waits."""
SILENCE = 20.0
"""Seconds without a line after which a server hangs."""


@dataclass(frozen=True)
class Request:
    """A probe that is asked for; plain data."""

    text: str
    filename: str
    """The script and its file; see `Script`."""
    folder: str
    """It holds `keras/`, as it is now."""
    cache: str
    tree: Tree
    backend: str
    timeout: float
    memory: int
    start: Start | None = None


class Probe:
    """Makes the probe of one request."""

    def __init__(self, request: Request) -> None:
        """Nothing is started yet."""
        self._request = request
        self._prober = Prober(
            backend=request.backend,
            timeout=request.timeout,
            memory=request.memory,
            jobs=1,
            start=request.start,
        )

    def run(self) -> Outcome:
        """Copy the sources and run the script under the copy, which is removed again.

        What was printed names the files of the folder that was asked about, not of the copy.

        Raises:
            UsageError: there is no Keras in the folder.
            HarnessError: the probe could not be made, or `stop` was called.
        """
        request = self._request
        with self._prober, Store(Path(request.cache)) as store:
            given = store.get(Build("folder", f"path:{request.folder}"))
            copy = store.overlay(given, given, ())
            script = Script(request.text, request.filename)
            outcome = self._prober.run(script, copy, request.tree)
            if outcome.touched:
                # Files of the copy are files of the cache, too, and what another process writes
                # into those is met by this one. This time they are nobody else's.
                with Store(Path(request.cache)) as again:
                    copy = again.copy(again.overlay(given, given, ()))
                    outcome = self._prober.run(script, copy, request.tree)

        def renamed(text: str) -> str:
            return text.replace(str(copy.path), str(given.path))

        def retold(raised: Raised | None) -> Raised | None:
            return raised and replace(raised, message=renamed(raised.message))

        return replace(
            outcome,
            import_error=retold(outcome.import_error),
            raised=retold(outcome.raised),
            stdout=renamed(outcome.stdout),
            stderr=renamed(outcome.stderr),
        )

    def stop(self) -> None:
        """Let `run`, in another thread, end at once with an error."""
        self._prober.close()


@dataclass(frozen=True)
class Run:
    """A process that runs a bisect, and none that gets its number later (Linux)."""

    pid: int
    born: str
    """When it was started, as the kernel counts."""

    @classmethod
    def of(cls, pid: int) -> Run | None:
        """The process of a number; None if it has ended, be it waited for or not."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
        except OSError:
            return None
        # The name, in parentheses, may hold anything.
        state, *rest = stat.rpartition(")")[2].split()
        return None if state in "ZX" else cls(pid, rest[18])

    def lives(self) -> bool:
        """Whether it still runs."""
        return Run.of(self.pid) == self

    @property
    def folder(self) -> Path:
        """Where its servers listen."""
        return Path(tempfile.gettempdir(), f"{FOLDER}{os.getuid()}-{self.pid}-{self.born}")


def encode(document: dict[str, Any]) -> bytes:
    """A document as one line."""
    return json.dumps(document).encode() + b"\n"


def connect(folder: Path, name: str) -> socket.socket | None:
    """A connection to the server of this name; None where none listens.

    Raises:
        OSError: the folder cannot be read, or is not this user's alone.
    """
    connection = socket.socket(socket.AF_UNIX)
    try:
        with _address(folder, name) as address:
            connection.settimeout(SILENCE)
            connection.connect(address)
    except (FileNotFoundError, ConnectionError):
        connection.close()
        return None
    except BaseException:
        connection.close()
        raise
    return connection


def send_signal(connection: socket.socket, number: int) -> None:
    """Send a signal to the server at the other end. What it started ends with it."""
    size = struct.calcsize("3i")
    pid, *_ = struct.unpack(
        "3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    )
    # 0 is a process that cannot be seen from here; as a target it would be our own group.
    if pid > 0:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def serve(folder: Path, name: str, run: Run) -> None:
    """Answer requests until the bisect ends, or SIGTERM comes; leave nothing behind."""
    ended: list[int] = []
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda got, _frame: ended.append(got))
    _sweep()
    folder.mkdir(mode=0o700, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as listener, Server() as server:
        with _address(folder, name) as address:
            # What is left of a server that was killed.
            Path(address).unlink(missing_ok=True)
            listener.bind(address)
        try:
            listener.listen()
            listener.settimeout(TICK)
            os.write(1, READY)
            silence()
            _end_others(folder, name)
            while run.lives() and not ended:
                with contextlib.suppress(TimeoutError):
                    connection, _ = listener.accept()
                    Thread(target=server.attend, args=(connection,), daemon=True).start()
        finally:
            (folder / name).unlink(missing_ok=True)
            if not run.lives():
                shutil.rmtree(folder, ignore_errors=True)


class Server:
    """Makes the probes that are asked for, one at a time. Use it as a context manager."""

    def __init__(self) -> None:
        """Nothing is started yet."""
        self._pool = ThreadPoolExecutor(1)
        self._probes: set[Probe] = set()

    def __enter__(self) -> Server:
        """The server itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End every probe, and wait until it has cleaned up."""
        for probe in list(self._probes):
            probe.stop()
        self._pool.shutdown(cancel_futures=True)

    def attend(self, connection: socket.socket) -> None:
        """Read one request, answer it."""
        with connection, connection.makefile("rb") as lines:
            connection.settimeout(SILENCE)
            try:
                probe = Probe(Request(**json.loads(lines.readline())))
            except (OSError, ValueError):
                # The client went away before it had asked.
                return
            self._probes.add(probe)
            try:
                # The warm process is started by the first and serves all that follow.
                answer = self._pool.submit(_answer, probe)
                while not wait([answer], BEAT).done:
                    connection.sendall(encode({"busy": True}))
                connection.sendall(encode(answer.result()))
            except (OSError, RuntimeError, CancelledError):
                # The client went away, or the server ends: nobody wants the outcome.
                probe.stop()
            finally:
                self._probes.discard(probe)


def _answer(probe: Probe) -> dict[str, Any]:
    try:
        return {"outcome": outcome_document(probe.run())}
    except KerasBisectError as error:
        return {"fault": str(error), "usage": isinstance(error, UsageError)}
    except Exception:  # noqa: BLE001 - whatever it is, the harness failed, and the client must hear it
        return {"fault": f"The probe failed:\n{traceback.format_exc()}", "usage": False}


@contextlib.contextmanager
def _address(folder: Path, name: str) -> Iterator[str]:
    """The address of a socket: short, as it must be, however long the folder's name is.

    Raises:
        PermissionError: others own the folder, or can write into it.
    """
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        found = os.fstat(fd)
        if found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise PermissionError(f"{folder} is not this user's alone")
        yield f"/proc/self/fd/{fd}/{name}"
    finally:
        os.close(fd)


def _end_others(folder: Path, name: str) -> None:
    """End the other servers of this bisect: each holds a TensorFlow, and the last one is wanted."""
    for other in {path.name for path in folder.iterdir()} - {name}:
        with contextlib.suppress(OSError):
            if connection := connect(folder, other):
                with connection:
                    send_signal(connection, signal.SIGTERM)


def _sweep() -> None:
    """Remove the folders of bisects that ended while their server had been killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER}{os.getuid()}-*-*"):
        pid, born = folder.name.split("-")[-2:]
        if pid.isdigit() and not Run(int(pid), born).lives():
            shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """`python -P -m keras_bisect.probe.daemon FOLDER IDENTITY PID BORN`."""
    folder, name, pid, born = sys.argv[1:]
    serve(Path(folder), name, Run(int(pid), born))


if __name__ == "__main__":
    main()
