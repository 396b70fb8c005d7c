"""Write a file whole or not at all.

The bytes go to a temporary file beside the target, reach the disk, and take the target's place in
one rename: a reader sees the old file or the new one, and a killed writer leaves the old one.

Public: `write_atomic`.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

__all__ = ["write_atomic"]


def write_atomic(path: Path, data: bytes | str) -> None:
    """Replace `path` by `data` (text as UTF-8), making its folder where it is missing.

    Raises:
        OSError: the folder cannot be written. Nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own for each writer, so two writers at once do not write into one file.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            # Without this a power cut can leave the new name with none of the new bytes.
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
