"""Append lines to a file that others may read while it grows, and that nobody else may write.

A line reaches the file whole, in one write, or it is the last one and unfinished: that happens
where a process is killed or a disk is full. Whoever adds the next line cuts such a one off first,
or the two would become one line that nobody can read.

Public: `Lines`.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import threading
from pathlib import Path

from keras_bisect.errors import HarnessError

__all__ = ["Lines"]

BLOCK = 1 << 16
"""Bytes looked at in one go for the end of the last whole line."""


class Lines:
    """A file that is open for appending. Safe to share between threads."""

    def __init__(self, path: Path) -> None:
        """Open the file, made with its folder where it is missing, and keep other writers off it.

        The lock is one of the kernel's, on the file itself: it ends with the process, however that
        ends, and leaves nothing behind.

        Raises:
            BlockingIOError: somebody else has it open for appending.
            HarnessError: it cannot be opened.
        """
        self.path = path
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Of a pipe the reading end would be ours, too, and nobody would see the reader go away.
            way = os.O_WRONLY if path.exists() and not path.is_file() else os.O_RDWR
            self._fd = os.open(path, way | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise self._fault("opened", error) from error
        # A pipe or a terminal has no last line to cut, and is shared as its owner wants it.
        self._regular = stat.S_ISREG(os.fstat(self._fd).st_mode)
        self._ragged = self._regular
        try:
            if self._regular:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._fd)
            raise
        except OSError as error:
            os.close(self._fd)
            raise self._fault("locked", error) from error

    def close(self) -> None:
        """Let others have it."""
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
            self._fd = -1

    def append(self, line: bytes, *, sync: bool = True) -> None:
        """Add a line that ends in a line feed.

        Args:
            line: the bytes.
            sync: return when it is on the disk, so that not even a power cut takes it away.

        Raises:
            HarnessError: it could not be written, or the file is closed. What was written before
                stays as it is.
        """
        with self._lock:
            try:
                if self._fd < 0:
                    raise OSError(errno.EBADF, "it is closed")
                if self._ragged:
                    self._cut()
                # Until it is whole: whatever stops this, Ctrl-C too, the next line finds out.
                self._ragged = self._regular
                self._write(line)
                self._ragged = False
                if sync and self._regular:
                    os.fsync(self._fd)
            except OSError as error:
                raise self._fault("written", error) from error

    def _write(self, line: bytes) -> None:
        rest = memoryview(line)
        while rest:
            rest = rest[os.write(self._fd, rest) :]

    def _cut(self) -> None:
        size = os.fstat(self._fd).st_size
        if (end := self._whole(size)) < size:
            os.ftruncate(self._fd, end)

    def _whole(self, end: int) -> int:
        """How many of the first `end` bytes are whole lines."""
        while end > 0:
            start = max(0, end - BLOCK)
            at = os.pread(self._fd, end - start, start).rfind(b"\n")
            if at >= 0:
                return start + at + 1
            end = start
        return 0

    def _fault(self, what: str, error: OSError) -> HarnessError:
        gone = isinstance(error, BrokenPipeError)
        hint = "Let somebody read it" if gone else "Make room or choose another place"
        return HarnessError(
            f"{self.path} cannot be {what}: {error.strerror or error}. {hint}, then run again."
        )
