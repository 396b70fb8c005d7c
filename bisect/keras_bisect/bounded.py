"""Read what a person names, whatever it turns out to be: never more than a limit, never forever.

Public: `read_bounded`.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

__all__ = ["read_bounded"]


def read_bounded(path: Path, limit: int) -> bytes:
    """The bytes of a file, or of a pipe that somebody writes into.

    Args:
        path: what was named.
        limit: bytes it may hold.

    Raises:
        OSError: it is missing, cannot be read, holds more, or is a pipe that nobody writes into.
            `strerror` says it.
    """
    # Without O_NONBLOCK a pipe without a writer would be waited for forever.
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    with os.fdopen(number, "rb", buffering=0) as file:
        os.set_blocking(number, True)
        mode = os.fstat(number).st_mode
        parts, left = [], limit + 1
        while left and (part := file.read(min(left, 1 << 20))):
            parts.append(part)
            left -= len(part)
    if not left:
        raise OSError(0, f"it holds more than {limit >> 20} MB")
    if stat.S_ISFIFO(mode) and not parts:
        raise OSError(0, "it is a pipe that nobody writes into")
    return b"".join(parts)
