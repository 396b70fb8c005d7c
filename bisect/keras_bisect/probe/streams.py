"""What comes out of a script: two streams of text, bounded, and the reports of its watchers.

Anything may write to any of them. A report is a line that starts with a word that only this probe
and its watchers know; whatever else a script writes to the same descriptor is passed over, so it
can neither be taken for a report nor push one out.

Public: `Reports`, `Tail`, `drain`, `pipe`.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any, Protocol

from keras_bisect.outcome import Loaded, Raised, loaded_of, raised_of

OUTPUT_KEPT = 64 * 1024
"""Bytes kept of each stream: the first half and the last half of them."""
LINE_LIMIT = 1 << 17
"""Bytes of a line that may be a report."""
REPORTS_LIMIT = 20_000
"""Reports that are read: a script that forks without end has as many watchers."""


class Sink(Protocol):
    """What takes bytes."""

    def write(self, data: bytes) -> None:
        """Take some more."""


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

    def text(self) -> str:
        """What was kept, with a line that says how much was not."""
        cut = f"\n… {self._dropped:,} bytes left out …\n".encode() if self._dropped else b""
        return (bytes(self._head) + cut + bytes(self._tail)).decode("utf-8", "replace")


class Reports:
    """What watchers reported of a script, as `Outcome` has it. The last word on a thing counts."""

    def __init__(self, token: str) -> None:
        """A line counts if it begins with `token`."""
        self.loaded: Loaded | None = None
        self.import_error: Raised | None = None
        self.raised: Raised | None = None
        self.touched = False
        self.fault = ""
        self._read: set[str] = set()
        self._beyond: dict[str, None] = {}
        self._token = token.encode()
        self._line = bytearray()
        self._left = REPORTS_LIMIT

    @property
    def read(self) -> tuple[str, ...]:
        """Paths; a process that a script forks reports by itself, so some are told twice."""
        return tuple(sorted(self._read))

    @property
    def beyond(self) -> str:
        """Phrases, in the order in which they came."""
        return ", ".join(self._beyond)

    def write(self, data: bytes) -> None:
        """Take some more."""
        *whole, rest = data.split(b"\n")
        for part in whole:
            self._line += part[: LINE_LIMIT - len(self._line)]
            self._take(bytes(self._line))
            self._line.clear()
        self._line += rest[: LINE_LIMIT - len(self._line)]

    def _take(self, line: bytes) -> None:
        if not line.startswith(self._token):
            return
        if self._left == 0:
            self._beyond["reports more than is kept"] = None
            return
        self._left -= 1
        with contextlib.suppress(ValueError, TypeError, RecursionError):
            # Cut off when the process was killed, or written by who knows the word.
            report = json.loads(line[len(self._token) :])
            for key, value in report.items() if isinstance(report, dict) else ():
                self._note(key, value)

    def _note(self, key: str, value: Any) -> None:
        match key:
            case "loaded":
                self.loaded = loaded_of(value)
            case "import_error":
                self.import_error = raised_of(value)
            case "raised":
                self.raised = raised_of(value)
            case "touched":
                self.touched = True
            case "fault":
                self.fault = str(value)
            case "read":
                self._read.add(str(value))
            case "beyond":
                self._beyond[str(value)] = None


def pipe(stack: contextlib.ExitStack) -> tuple[int, int]:
    """Both ends of a pipe; the one that is read is closed by the stack."""
    read, write = os.pipe()
    stack.callback(os.close, read)
    return read, write


def drain(fd: int, sink: Sink, reads: int) -> bool:
    """Move what is in a pipe, at most some reads of it; whether there may be more to come."""
    for _ in range(reads):
        try:
            data = os.read(fd, 1 << 16)
        except BlockingIOError:
            return True
        if not data:
            return False
        sink.write(data)
    return True
