"""Where words go: the answer to standard output, all else to standard error.

What is said beside an answer must never change it: standard error may be closed, full, or a pipe
that nobody reads any more, and the exit code is the same. An answer that cannot be written is a
fault of the harness, unless whoever read it has seen enough.

Public: `prepare`, `say`, `tell`, `write`, `write_json`.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Any, TextIO

from keras_bisect.errors import HarnessError
from keras_bisect.wording import short

__all__ = ["prepare", "say", "tell", "write", "write_json"]


def prepare() -> None:
    """Make both streams safe to write to, whatever they were given as.

    Raises:
        HarnessError: there is no standard output.
    """
    for number in range(3):
        _occupy(number)
    no_output = sys.stdout is None
    sys.stderr = _text(_Aside(2), sys.stderr)
    sys.stdout = _text(_Answer(1), sys.stdout)
    if no_output:
        raise HarnessError(
            "Standard output is closed, so there is nowhere to write the answer. Let it go to a "
            "terminal, a file or /dev/null."
        )


def write(text: str) -> None:
    """Put an answer on standard output.

    Raises:
        HarnessError: it cannot be written.
    """
    sys.stdout.write(text)
    sys.stdout.flush()


def write_json(document: dict[str, Any]) -> None:
    """Put a document on standard output."""
    from keras_bisect.documents import text_of

    write(text_of(document, sys.stdout.encoding))


def tell(text: str) -> None:
    """Put something on standard error as it is."""
    sys.stderr.write(text)
    sys.stderr.flush()


def say(text: str) -> None:
    """Tell a person something beside the answer."""
    tell(f"keras-repro: {short(text)}\n")


class _Aside(io.RawIOBase):
    """A file descriptor; what cannot be written to it is dropped."""

    def __init__(self, number: int) -> None:
        self._number = number

    def fileno(self) -> int:
        return self._number

    def isatty(self) -> bool:
        return os.isatty(self._number)

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        rest = memoryview(data)
        size = rest.nbytes
        try:
            while rest:
                rest = rest[os.write(self._number, rest) :]
        except OSError as error:
            self._failed(error)
        return size

    def _failed(self, error: OSError) -> None:
        """A write failed."""


class _Answer(_Aside):
    """A file descriptor whose first fault is told, unless its reader only has seen enough."""

    def _failed(self, error: OSError) -> None:
        # The interpreter writes what is left when it ends, and must not fail once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), self._number)
        if not isinstance(error, BrokenPipeError):
            raise HarnessError(
                f"The answer cannot be written to standard output: {error.strerror}."
            )


def _occupy(number: int) -> None:
    """Let a standard descriptor that is closed lead nowhere: the next file would get its number."""
    try:
        os.fstat(number)
    except OSError:
        # The lowest number that is free is this one, since those below are occupied.
        os.open(os.devnull, os.O_RDWR)


def _text(raw: _Aside, old: TextIO | None) -> TextIO:
    # `sys.stderr` of a process without one is None, and so nothing is said of its encoding.
    encoding = old.encoding if old is not None else "utf-8"
    lines = raw.isatty()
    # A file's name, or what a script printed, may hold what no encoding has bytes for.
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding, errors="backslashreplace", line_buffering=lines
    )
