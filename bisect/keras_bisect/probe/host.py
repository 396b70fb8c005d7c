"""Supervises the scripts of one build: a fork (or a fresh interpreter) for each.

A host is a process between the toolkit and the script. It is forked from the warm process, so it
has TensorFlow and no keras; it forks again for each script, bounds the time, the memory and the
output of what it forked, and reports. It leads a session of its own, and so does each script, so a
signal to one does not reach the other. On Linux it adopts the orphans of its scripts (child
subreaper) and the kernel kills a script whose host died. If the toolkit dies, the pipe to it
closes, and the host kills what it started and ends: nothing outlives a `kill -9`.

With `share`, the host imports keras itself, once, and its scripts find it imported. That is for
scripts that are known to do nothing before `import keras`; any other could no longer choose a
backend or hide a module.
"""

from __future__ import annotations

import contextlib
import gc
import json
import multiprocessing
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any

import psutil

from keras_bisect.outcome import Ended, Loaded, Outcome, Raised
from keras_bisect.probe import child

OUTPUT_KEPT = 64 * 1024
"""Bytes kept of each stream: the first half and the last half of them."""
TICK = 0.05
"""Seconds between two looks at the memory of a script."""
TREE_TICK = 0.5
"""Seconds between two looks at the memory of everything it started, which costs more."""
IMPORT_TICK = 0.2
"""Seconds between two looks at whether a shared import of keras is still wanted."""
REAP_TICK = 0.002
"""Seconds between two rounds of killing what a script left."""

_SAFE_PATH = (
    "import sys; del sys.argv[0], sys.path[0]; __file__ = sys.argv[0]; "
    "exec(compile(open(__file__, 'rb').read(), __file__, 'exec'))"
)
"""What `-P` does, for a Python before 3.11: the folder of `child.py` is not searched."""


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


@dataclass(frozen=True)
class Fault:
    """What the host sends instead of an outcome: the harness failed, the script did not."""

    message: str


class Tail:
    """The beginning and the end of a stream, whatever its length."""

    def __init__(self, limit: int = OUTPUT_KEPT) -> None:
        """Keep `limit` bytes."""
        self._half = limit // 2
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped = 0

    def write(self, data: bytes) -> None:
        """Take some more."""
        room = self._half - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        extra = len(self._tail) - self._half
        if extra > 0:
            self._dropped += extra
            del self._tail[:extra]

    @property
    def cut(self) -> bool:
        """Whether something was not kept."""
        return self._dropped > 0

    def text(self) -> str:
        """What was kept, with a line that says how much was not."""
        cut = f"\n… {self._dropped:,} bytes left out …\n".encode() if self._dropped else b""
        return (bytes(self._head) + cut + bytes(self._tail)).decode("utf-8", "replace")


def serve(connection: Connection, spec: HostSpec) -> None:
    """The life of a host: take jobs, send an `Outcome` or a `Fault` each, until the pipe closes."""
    os.setsid()
    _adopt_orphans()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    silence()
    if spec.fork and (reason := cold()):
        connection.send(Fault(f"TensorFlow could not be imported: {reason}"))
        return
    home = ""
    try:
        home = tempfile.mkdtemp(prefix="home-", dir=scratch(spec.scratch))
        host = _Host(connection, spec, home)
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
        _kill_descendants()
        if home:
            shutil.rmtree(home, ignore_errors=True)
        leave(spec.scratch)


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
        if spec.share:
            child.prepare(spec.path, spec.tree, spec.backend, home)
            _import_keras(spec.timeout)
            # The collector would touch, and so copy, every page that the forks share.
            gc.freeze()

    def run(self, job: Job) -> Outcome | Fault:
        root = scratch(self._spec.scratch)
        with tempfile.TemporaryDirectory(dir=root, ignore_cleanup_errors=True) as folder:
            try:
                return self._supervise(job, folder)
            finally:
                _kill_descendants()

    def _supervise(self, job: Job, folder: str) -> Outcome | Fault:
        start = time.monotonic()
        with contextlib.ExitStack() as stack:
            pipes = [_pipe(stack) for _ in range(3)]
            (out, out_end), (err, err_end), (report, report_end) = pipes
            ends = (out_end, err_end, report_end)
            pid = (self._fork if self._spec.fork else self._start)(job, folder, ends)
            for end in ends:
                os.close(end)
            streams = {out: Tail(), err: Tail(), report: Tail(1 << 20)}
            ended, code = self._watch(pid, streams, start, job)
        events = _events(streams[report].text())
        if streams[report].cut:
            events["beyond"].append("reports more than is kept")
        return Outcome(
            ended=ended,
            code=code,
            seconds=time.monotonic() - start,
            loaded=loaded(events.get("loaded")),
            import_error=raised(events.get("import_error")),
            raised=raised(events.get("raised")),
            stdout=streams[out].text(),
            stderr=streams[err].text(),
            # A process that a script forks reports by itself.
            read=tuple(sorted(set(events["read"]))),
            beyond=", ".join(dict.fromkeys(events["beyond"])),
            touched="touched" in events,
        )

    def _job(self, job: Job, folder: str) -> dict[str, str]:
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
            "path": spec.path,
            "tree": spec.tree,
            "backend": spec.backend,
            "home": self._home,
        }

    def _fork(self, job: Job, folder: str, ends: tuple[int, int, int]) -> int:
        described = self._job(job, folder)
        pid = os.fork()
        if pid:
            return pid
        code = 1
        try:
            child.die_with_parent()
            os.setsid()
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.default_int_handler if number == 2 else signal.SIG_DFL)
            self._connection.close()
            null = os.open(os.devnull, os.O_RDONLY)
            for fd, wanted in ((null, 0), (ends[0], 1), (ends[1], 2)):
                os.dup2(fd, wanted)
            child.new_streams()
            os.chdir(folder)
            os.environ["TMPDIR"] = folder
            tempfile.tempdir = None
            code = child.end(child.run(described, ends[2]))
        except BaseException as error:  # noqa: BLE001 - nothing may unwind into the host's own frames
            os.write(2, f"{type(error).__name__}: {error}\n".encode("utf-8", "replace"))
        finally:
            os._exit(code)

    def _start(self, job: Job, folder: str, ends: tuple[int, int, int]) -> int:
        described = Path(folder, "job.json")
        described.write_text(json.dumps(self._job(job, folder)), "utf-8")
        arguments = [child.__file__, str(described), str(ends[2])]
        if self._spec.python:
            command = [self._spec.python, "-c", _SAFE_PATH, *arguments]
        else:
            command = [sys.executable, "-P", *arguments]
        return subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=ends[0],
            stderr=ends[1],
            pass_fds=(ends[2],),
            start_new_session=True,
            env={**self._environment(), "PYTHONIOENCODING": child.ENCODING, "TMPDIR": folder},
        ).pid

    def _environment(self) -> dict[str, str]:
        """Our variables, for another environment without those that lead back into ours."""
        ours = ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV") if self._spec.python else ()
        return {name: value for name, value in os.environ.items() if name not in ours}

    def _watch(
        self, pid: int, streams: dict[int, Tail], start: float, job: Job
    ) -> tuple[Ended, int | None]:
        """Read what a script writes until it ends, is ended, or nobody wants to know any more."""
        process = psutil.Process(pid)
        tree_due = start + TREE_TICK
        with selectors.DefaultSelector() as selector, _ending(pid) as ending:
            for fd in streams:
                os.set_blocking(fd, False)
                selector.register(fd, selectors.EVENT_READ)
            selector.register(self._connection.fileno(), selectors.EVENT_READ)
            if ending is not None:
                selector.register(ending, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select(TICK if ending is not None else TICK / 5):
                    if key.fd in streams:
                        if not _drain(key.fd, streams[key.fd], 1):
                            selector.unregister(key.fd)
                    elif key.fd != ending and not self._connection.poll():
                        continue
                    elif key.fd != ending:
                        # Only the end of the toolkit is read here: it sends one job at a time.
                        raise BrokenPipeError
                if (status := _reap(pid)) is not None:
                    _kill_descendants()
                    for fd, tail in streams.items():
                        _drain(fd, tail, OUTPUT_KEPT)
                    code = os.waitstatus_to_exitcode(status)
                    return (Ended.SIGNAL, -code) if code < 0 else (Ended.EXIT, code)
                now = time.monotonic()
                ended = None
                if now - start > job.timeout:
                    ended = Ended.TIMEOUT
                elif _used(process, everything=now > tree_due) > job.memory:
                    ended = Ended.MEMORY
                if now > tree_due:
                    tree_due = now + TREE_TICK
                if ended is not None:
                    _kill_descendants()
                    for fd, tail in streams.items():
                        _drain(fd, tail, OUTPUT_KEPT)
                    return ended, None


def silence() -> None:
    """Write nowhere: what a host has to say goes through its connection."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.close(null)


def _import_keras(timeout: float) -> None:
    """Import keras in the host; a failure or a hang shows again in each script that imports it."""
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
        for name in [n for n in sys.modules if n == "keras" or n.startswith("keras.")]:
            del sys.modules[name]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def toolkit() -> BaseProcess:
    """The process that wants the outcomes. (The parent of a forked host is the warm process.)"""
    parent = multiprocessing.parent_process()
    assert parent is not None
    return parent


def _pipe(stack: contextlib.ExitStack) -> tuple[int, int]:
    read, write = os.pipe()
    stack.callback(os.close, read)
    return read, write


def _drain(fd: int, tail: Tail, reads: int) -> bool:
    """Move what is in a pipe, at most some reads of it; whether there may be more to come."""
    for _ in range(reads):
        try:
            data = os.read(fd, 1 << 16)
        except BlockingIOError:
            return True
        if not data:
            return False
        tail.write(data)
    return True


@contextlib.contextmanager
def _ending(pid: int) -> Iterator[int | None]:
    """A descriptor that turns readable when a process ends; None where the system has none."""
    if not hasattr(os, "pidfd_open"):
        yield None
        return
    fd = os.pidfd_open(pid)
    try:
        yield fd
    finally:
        os.close(fd)


def _reap(pid: int) -> int | None:
    done, status = os.waitpid(pid, os.WNOHANG)
    return status if done else None


def _used(process: psutil.Process, *, everything: bool) -> int:
    """Bytes of memory a process holds, with all it started if `everything`."""
    used = 0
    try:
        for one in [process, *(process.children(recursive=True) if everything else ())]:
            with contextlib.suppress(psutil.NoSuchProcess):
                used += int(one.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0
    return used


def _adopt_orphans() -> None:
    """Become the parent of whatever a script leaves behind (Linux), so that it can be found."""
    if sys.platform == "linux":
        import ctypes

        pr_set_child_subreaper = 36
        ctypes.CDLL(None, use_errno=True).prctl(pr_set_child_subreaper, 1)


def _kill_descendants() -> None:
    """Kill every process below this one, and reap it, until there is none."""
    while _any_child():
        for one in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        # One forked meanwhile is seen in the next round; to wait for it could take forever.
        time.sleep(REAP_TICK)


def _any_child() -> bool:
    """Whether there is a living child; those that ended are reaped."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _events(text: str) -> dict[str, Any]:
    """The last document of each kind that a script reported; of `read` and `beyond`, all."""
    events: dict[str, Any] = {"read": [], "beyond": []}
    for line in text.splitlines():
        try:
            document = json.loads(line)
        except ValueError:
            # Cut off when the process was killed.
            continue
        for key, value in document.items():
            if key in ("read", "beyond"):
                events[key].append(value)
            else:
                events[key] = value
    return events


def loaded(event: dict[str, Any] | None) -> Loaded | None:
    """What a child reported of the Keras it loaded."""
    return None if event is None else Loaded(**event)


def raised(event: dict[str, Any] | None) -> Raised | None:
    """What a child reported of an exception."""
    if event is None:
        return None
    return Raised(event["type"], event["message"], tuple(event["frames"]), event["line"])
