"""Write a file whole or not at all.

The bytes go to a temporary file beside the target, reach the disk, and take the target's place in
one rename: a reader sees the old file or the new one, and a killed writer leaves the old one.

What is no file (a terminal, a pipe, /dev/stdout) cannot be replaced and is written to; of a link,
what it leads to is replaced.

Public: `write_atomic`.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

__all__ = ["write_atomic"]


def write_atomic(path: Path, data: bytes | str) -> None:
    """Replace `path` by `data` (text as UTF-8), making its folder where it is missing.

    Raises:
        OSError: the folder cannot be written. Nothing is left behind.
    """
    # Half a surrogate pair, which UTF-8 has no bytes for, comes from a name of a file.
    raw = data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data
    try:
        there = path.stat()
    except FileNotFoundError:
        there = None
    if there is not None and (number := _open_already(there)) is not None:
        _write_all(number, raw)
        return
    if there is not None and not stat.S_ISREG(there.st_mode):
        with path.open("wb", buffering=0) as stream:
            _write_all(stream.fileno(), raw)
        return
    if path.is_symlink():
        path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own for each writer, so two writers at once do not write into one file.
    temporary = path.with_name(f".{path.name[:80]}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(raw)
            file.flush()
            # Without this a power cut can leave the new name with none of the new bytes.
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _open_already(there: os.stat_result) -> int | None:
    """Standard output or error, where it is this very file: what was said there must stay."""
    for number in (1, 2):
        try:
            if os.path.samestat(os.fstat(number), there):
                return number
        except OSError:
            continue
    return None


def _write_all(number: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(number, rest) :]
