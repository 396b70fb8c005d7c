"""Starts processes from the warm one, by the forkserver of the standard library, and no other way.

Ctrl-C in a terminal goes to every process of its group. One that is still importing TensorFlow, or
Python itself, would answer with a traceback, so SIGINT is blocked in whatever is started here until
it has taken leave of the terminal. What lies in temporary folders is named after the process that
owns it, and whoever comes next sweeps up what a killed one left.

Public: `abandon_warming`, `can_fork`, `own_folder`, `start`, `sweep`, `warm_of`, `warm_up`.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import types
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil

from keras_bisect.errors import HarnessError

WARM = "keras_bisect.probe.warm"
WARM_OF = {"torch": "keras_bisect.probe.warm_torch"}
"""Of backends that need something else in the warm process."""
SCRATCH = "keras-probe-"
"""The working folders of one `Prober` are in `<temporary folder>/keras-probe-<its process>-…`."""
SERVER = "keras-warm-"
"""The address of the warm process is in `<temporary folder>/keras-warm-<its toolkit>-…`."""
WARMING = 300.0
"""Seconds in which TensorFlow is imported, on a machine that is busy."""
ANSWERING = 30.0
"""Seconds in which a warm process forks."""
SHORT = "/tmp"
"""Where the address is if the temporary folder has too long a name for one."""
ADDRESS_LIMIT = 80
"""Bytes of a folder whose sockets have an address: some 100 are allowed, with their names."""

_starting = threading.Lock()
"""`__main__` is hidden from one process at a time."""
_answered: set[int] = set()
"""Warm processes (by number) that have started one of ours, so they are warm."""
_holds: dict[int, str] = {}
"""What each warm process (by number) was told to import."""


def own_folder(prefix: str, place: str = "") -> str:
    """A name for a folder in the temporary folder, which `sweep` removes once we are gone."""
    place = place or tempfile.gettempdir()
    return str(Path(place, f"{prefix}{os.getpid()}-{secrets.token_hex(3)}"))


def sweep() -> None:
    """Remove the folders of runs that were killed."""
    places = {tempfile.gettempdir(), SHORT}
    for prefix, place in itertools.product((SCRATCH, SERVER), places):
        for folder in Path(place).glob(prefix + "*"):
            owner = folder.name.removeprefix(prefix).partition("-")[0]
            if owner.isdigit() and not _owns(int(owner), folder):
                shutil.rmtree(folder, ignore_errors=True)


def _owns(pid: int, folder: Path) -> bool:
    """Whether the process of this number lives, and is no later one than the folder."""
    try:
        # A second, because the two clocks are not read alike.
        return psutil.Process(pid).create_time() <= folder.stat().st_mtime + 1
    except psutil.NoSuchProcess:
        return False
    except (OSError, psutil.Error):
        return True


def can_fork(backend: str) -> bool:
    """Whether scripts of a backend can be forked from the warm process; there is one at a time."""
    if sys.platform != "linux":
        # Native libraries elsewhere do not survive a fork.
        return False
    return _holds.get(_server() or 0, warm_of(backend)) == warm_of(backend)


def warm_of(backend: str) -> str:
    """What the warm process imports for a backend."""
    return WARM_OF.get(backend, WARM)


def warm_up(backend: str) -> None:
    """Let the warm process import TensorFlow, without waiting for it."""
    _context(warm_of(backend))
    with _starting, _bare_main(), _shielded():
        _run_server(warm_of(backend))


def _run_server(warm: str) -> None:
    """See to it that the warm process runs, and that it is one that holds what is needed."""
    from multiprocessing import forkserver

    forkserver.ensure_running()
    server = _server()
    if server is not None and _holds.setdefault(server, warm) != warm:
        raise HarnessError(
            "Probes of the torch backend and of others cannot share the process they are forked "
            "from. Start each interpreter anew (--fresh)."
        )


def start(warm: str, target: Callable[..., None], spec: Any) -> tuple[BaseProcess, Connection]:
    """Start a process that calls `target(connection, spec)`; also our end of the connection.

    Args:
        warm: what the warm process that it is forked from holds, see `warm_of`; empty: it is a
            fresh interpreter.
        target: a function of a module.
        spec: data.

    Raises:
        OSError, EOFError: the warm process is gone.
        HarnessError: the warm process holds something else.
    """
    context = _context(warm)
    here, there = context.Pipe()
    process: BaseProcess = context.Process(  # type: ignore[attr-defined]
        target=target, args=(there, spec), daemon=False
    )
    try:
        with _starting, _bare_main(), _shielded(), _in_time(warm):
            process.start()
    except BaseException:
        here.close()
        raise
    finally:
        there.close()
    if warm and (server := _server()) is not None:
        _answered.add(server)
    return process, here


@contextlib.contextmanager
def _in_time(warm: str) -> Iterator[None]:
    """End a warm process that does not answer: nobody could be told to wait no longer."""
    if not warm:
        yield
        return
    _run_server(warm)
    server = _server()
    seconds = ANSWERING if server in _answered else WARMING
    timer = threading.Timer(seconds, _kill, (server,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def abandon_warming() -> None:
    """End a warm process that is not warm yet: who waits for it has an error at once."""
    server = _server()
    if server not in _answered:
        _kill(server)


def _kill(pid: int | None) -> None:
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _server() -> int | None:
    from multiprocessing import forkserver

    pid: int | None = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    return pid


def _context(warm: str) -> BaseContext:
    if not warm:
        return multiprocessing.get_context("spawn")
    _name_its_folder()
    context = multiprocessing.get_context("forkserver")
    # Whoever starts the server first: it imports this once, and only then.
    context.set_forkserver_preload([warm])
    return context


def _name_its_folder() -> None:
    """Let multiprocessing put its sockets where `sweep` finds them.

    It would make a folder of its own, which a kill leaves behind under a name that says nothing.
    """
    config = multiprocessing.current_process()._config  # type: ignore[attr-defined]
    if config.get("tempdir") is not None:
        return
    for place in (tempfile.gettempdir(), SHORT):
        folder = own_folder(SERVER, place)
        if len(os.fsencode(folder)) > ADDRESS_LIMIT:
            continue
        try:
            Path(folder).mkdir(mode=0o700)
        except OSError:
            continue
        # As the standard library does it: after all that has priority over it.
        multiprocessing.util.Finalize(None, shutil.rmtree, args=(folder, True), exitpriority=-100)
        config["tempdir"] = folder
        return


@contextlib.contextmanager
def _shielded() -> Iterator[None]:
    """Keep SIGINT from what is started meanwhile. (In this process other threads get it.)"""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    # It has a shield of its own, and takes ours away where it must be started.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


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
