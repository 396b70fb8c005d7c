"""All that happens in a search, appended as it happens: one JSON document a line.

A probe is on the disk before the next is judged, so a search that is killed loses at most the
probes in flight, and goes on from its journal. Several searches may follow each other in one file;
each begins with a `Began`, and nothing is ever deleted.

    with Journal(path, digest(script)) as journal:
        known = resume(path, run)               # raises where it would be another search
        journal(began(run, resumed=first_began(path, run) is not None))
        …                                       # the journal listens to what happens
        journal(ended(0, transitions=documents))

Public: `Journal`, `EventsFile`, `read`, `resume`, `first_began`, `began`, `ended`, `alive`.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from keras_bisect.documents import event_document
from keras_bisect.errors import HarnessError, UsageError
from keras_bisect.events import (
    Began,
    Ended,
    Event,
    Judgement,
    Learned,
    Listener,
    Notice,
    Probed,
    ignore,
)
from keras_bisect.record.lines import Lines
from keras_bisect.record.recorded import (
    Identity,
    Recorded,
    identity,
    line_of,
    probes,
    recorded,
    section,
)
from keras_bisect.run import Run, differences
from keras_bisect.verdict import Signature, judge

__all__ = [
    "EventsFile",
    "Journal",
    "alive",
    "began",
    "ended",
    "first_began",
    "read",
    "resume",
]


class Journal:
    """An append-only file of one script. A listener; safe to share between threads."""

    def __init__(self, path: Path, script: str, signature: Signature | None = None) -> None:
        """Open the journal, or make it; nobody else can open it until it is closed.

        Args:
            path: the file; its folder is made where it is missing.
            script: what it is about, as `lab.digest`; probes of other scripts are passed over.
            signature: what probes are judged by; None as long as it is not known (`learned`).

        Raises:
            UsageError: another process, or this one, is writing it.
            HarnessError: it cannot be opened, or a line of it is damaged.
        """
        self.path = path
        self._script = script
        self._signature = signature
        try:
            self._lines = Lines(path)
        except BlockingIOError as error:
            raise UsageError(_in_use(path)) from error
        try:
            self._there = self._known()
        except BaseException:
            self._lines.close()
            raise

    def __enter__(self) -> Self:
        """The journal itself."""
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _tb: TracebackType | None,
    ) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file and let others have it."""
        self._lines.close()

    def learned(self, signature: Signature) -> None:
        """Judge the probes that follow by this failure; those before stay without a verdict."""
        self._signature = signature

    def __call__(self, event: Event) -> None:
        """Write an event down; a verdict is part of its probe, and no probe is written twice.

        Raises:
            HarnessError: the file cannot be written. What was written before stays readable.
        """
        match event:
            case Learned(signature):
                self.learned(signature)
            case Judgement():
                pass
            case Probed():
                # A search that goes on hears again of what it knew.
                if event.script == self._script and identity(event) not in self._there:
                    self._lines.append(line_of(self._probe(event)))
                    self._there.add(identity(event))
            case _:
                if isinstance(event, Began):
                    self._there = self._known(event.run) if event.resumed else set()
                # Of what is no probe, only where a search begins and ends must not be lost.
                bounds = isinstance(event, Began | Ended)
                self._lines.append(line_of(event_document(event)), sync=bounds)

    def _known(self, run: Run | None = None) -> set[Identity]:
        """The probes of a search, or of the last one, that are in the file."""
        return {identity(one.event) for one in probes(section(read(self.path), run))}

    def _probe(self, event: Probed) -> dict[str, Any]:
        document = event_document(event)
        signature = self._signature
        judged = judge(event.outcome, signature) if signature is not None else None
        outcome = document.pop("outcome")
        return document | {
            "signature": None if signature is None else str(signature),
            "verdict": None if judged is None else str(judged.verdict),
            "detail": None if judged is None else judged.detail,
            "outcome": outcome,
        }


class EventsFile:
    """A listener that appends each event to a file, as a line, for a program that follows it."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it. It may be a named pipe.

        Raises:
            UsageError: it is `-`, where the answer goes, or is being written already.
            HarnessError: it cannot be opened.
        """
        if str(path) == "-":
            raise UsageError(
                "Events go to a file or a named pipe, not to standard output, which holds the "
                "answer. Give a path, such as ./events.jsonl."
            )
        if _holds_output(path):
            raise UsageError(
                f"{path} is where standard output goes, which would be written over it. Name "
                "another file."
            )
        try:
            self._lines = Lines(path)
        except BlockingIOError as error:
            raise UsageError(f"{path} is in use by another process. Name another file.") from error

    def __enter__(self) -> Self:
        """The listener itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._lines.close()

    def __call__(self, event: Event) -> None:
        """Append an event.

        Raises:
            HarnessError: the file cannot be written.
        """
        line = json.dumps(event_document(event)) + "\n"
        self._lines.append(line.encode("ascii"), sync=False)


def read(path: Path) -> list[Recorded]:
    """The lines of a journal, all its searches one after the other.

    Raises:
        HarnessError: it cannot be read, or a line is damaged. Only an end that was cut short is
            passed over.
    """
    try:
        if path.exists() and not path.is_file():
            raise OSError(0, "it is no file that can be read twice")
        data = path.read_bytes()
    except OSError as error:
        raise HarnessError(f"{path} cannot be read: {error.strerror}.") from error
    return recorded(data, str(path))


def resume(path: Path, run: Run, listener: Listener = ignore) -> list[Probed]:
    """The probes of the search in a journal that is to go on.

    Open the `Journal` first: then nobody adds anything between this and the first probe.

    Args:
        path: the journal; it need not be there.
        run: what is asked for now. Its search goes on, though others, such as one with an end that
            was mistyped, may have begun in the journal since.
        listener: told where there is nothing to go on with.

    Returns:
        Every probe once, in the order in which they ended, whatever was interrupted in between.
        Those of a build with the sources of another are among them (`Probed.same_as`).

    Raises:
        UsageError: only others were searched for: the message names each difference to the nearest.
        HarnessError: as `read`.
    """
    recorded = read(path) if path.exists() else []
    runs = [one.event.run for one in recorded if isinstance(one.event, Began)]
    if not runs:
        listener(Notice(f"{path} holds no search to go on with. This one begins at its beginning."))
        return []
    lines = section(recorded, run)
    if not lines:
        changed = min((differences(one, run) for one in reversed(runs)), key=len)
        raise UsageError(
            f"The search in {path} cannot go on, since it would be another one: "
            f"{'; '.join(changed)}. Ask for the same, or begin anew without --resume: "
            "probes that still hold are known and are not made again."
        )
    return [one.event for one in probes(lines) if one.event.script == run.script]


def first_began(path: Path, run: Run) -> datetime | None:
    """When a search in a journal began, before all its interruptions; None if it is not there.

    Raises:
        HarnessError: as `read`.
    """
    lines = section(read(path), run) if path.exists() else []
    return lines[0].event.time if lines and isinstance(lines[0].event, Began) else None


def began(run: Run, *, resumed: bool = False) -> Began:
    """This process begins a run now, or goes on with it."""
    pid = os.getpid()
    return Began(run, datetime.now(UTC), pid, _started(pid), resumed)


def ended(code: int, reason: str = "", transitions: Sequence[Mapping[str, Any]] = ()) -> Ended:
    """A run ends now."""
    return Ended(code, datetime.now(UTC), reason, tuple(transitions))


def alive(pid: int, started: float | None) -> bool:
    """Whether a process still runs: this one, and not another that was given its number."""
    now = _started(pid)
    # The time is reckoned from when the machine was started, and a clock that is set moves that.
    return now is not None and (started is None or abs(now - started) < 5)


def _started(pid: int) -> float | None:
    """When a process was started, seconds since 1970; None if it does not run."""
    import psutil

    # A journal may be written by hand, and hold what no process can have for a number.
    if not 0 < pid < 1 << 31:
        return None
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return process.create_time()
    except psutil.Error:
        return None


def _holds_output(path: Path) -> bool:
    """Whether a file is the one that standard output goes to; a pipe or a terminal may be both."""
    try:
        there = path.stat()
        return stat.S_ISREG(there.st_mode) and os.path.samestat(there, os.fstat(1))
    except OSError:
        return False


def _in_use(path: Path) -> str:
    writer = "another process"
    try:
        lines = read(path)
    except HarnessError:
        lines = []
    begins = [one.event for one in lines if isinstance(one.event, Began)]
    if begins and alive(begins[-1].pid, begins[-1].started):
        writer = f"process {begins[-1].pid}"
    return f"{path} is in use by {writer}. Wait until that has ended, or use another folder."
