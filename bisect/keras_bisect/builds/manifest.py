"""What a build's folder should hold, and whether it does.

Two small files lie in the folder: `manifest.json` says which sources make the build,
`bytecode-TAG.json` which bytecode one Python added to them. Each holds the size and the time of
change of every file, so a whole build is checked in a few milliseconds; what differs is read and
hashed, so a cache that was copied is still good and one that was damaged is not. Each starts with a
checksum of the rest of itself.

Public: `Manifest`, `BytecodeRecord`, `Finding`, `inspect`, `snapshot`, `stat_of`,
`sha256_of`.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from keras_bisect.atomic import write_atomic
from keras_bisect.builds.bytecode import CACHE_TAG, MAGIC, is_sound, pyc_path

__all__ = [
    "BytecodeRecord",
    "Finding",
    "Manifest",
    "State",
    "inspect",
    "sha256_of",
    "snapshot",
    "stat_of",
]

SCHEMA = 1
MANIFEST = "manifest.json"
RECORD = f"bytecode-{CACHE_TAG}.json"

Stat = tuple[int, int]
"""Size in bytes, time of change in nanoseconds."""


class State(Enum):
    """How far what is on disk is what was written down."""

    RIGHT = "right"
    """Every size and time is as written down."""
    TOUCHED = "touched"
    """Sizes or times differ, the contents do not: the cache was copied, or written anew."""
    MISSING = "missing"
    """There is nothing."""
    DAMAGED = "damaged"
    """Files are missing, changed, or there that should not be."""


@dataclass(frozen=True)
class Manifest:
    """What an unpacked build consists of."""

    wheel: str
    """The sha256 of the wheel it came from."""
    content: str
    exact: str
    version: str | None
    files: Mapping[str, str]
    """Posix path below the folder -> sha256."""
    stats: Mapping[str, Stat]

    def write(self, root: Path) -> None:
        """Put it into the build's folder."""
        write_atomic(root / MANIFEST, _seal(vars(self)))

    @staticmethod
    def read(root: Path) -> Manifest | None:
        """Read it from the build's folder; None where there is none or it is damaged."""
        body = _unseal(root / MANIFEST)
        if body is None:
            return None
        stats = {path: (size, time) for path, (size, time) in body.pop("stats").items()}
        return Manifest(**body, stats=stats)


@dataclass(frozen=True)
class BytecodeRecord:
    """The bytecode that this Python has in a build's folder: source path -> of its `.pyc`.

    None is a source that does not compile.
    """

    magic: str = MAGIC.hex()
    stats: Mapping[str, Stat | None] = field(default_factory=dict)

    def write(self, root: Path) -> None:
        """Put it into the build's folder."""
        write_atomic(root / RECORD, _seal(vars(self)))

    @staticmethod
    def read(root: Path) -> BytecodeRecord | None:
        """Read it; None where there is none, or it is damaged or of another magic number."""
        body = _unseal(root / RECORD)
        if body is None or body["magic"] != MAGIC.hex():
            return None
        stats = {path: (s[0], s[1]) if s else None for path, s in body["stats"].items()}
        return BytecodeRecord(body["magic"], stats)


@dataclass(frozen=True)
class Finding:
    """What was found in a build's folder."""

    manifest: Manifest | None
    sources: State
    bytecode: State


def inspect(root: Path, wheel: str) -> Finding:
    """Compare a build's folder with what it says of itself. Reads only."""
    manifest = Manifest.read(root)
    if manifest is None or manifest.wheel != wheel:
        state = State.DAMAGED if root.exists() else State.MISSING
        return Finding(None, state, State.MISSING)
    try:
        files, pycs = _scan(root)
        sources = _source_state(root, manifest, files)
        return Finding(manifest, sources, _bytecode_state(root, pycs))
    except OSError:
        # It went away while it was read (another process repairs it), or cannot be read.
        return Finding(manifest, State.DAMAGED, State.DAMAGED)


def _source_state(root: Path, manifest: Manifest, files: Mapping[str, Stat]) -> State:
    if files == manifest.stats:
        return State.RIGHT
    if files.keys() != manifest.files.keys():
        return State.DAMAGED
    changed = [path for path in files if files[path] != manifest.stats[path]]
    same = all(sha256_of(root / path) == manifest.files[path] for path in changed)
    return State.TOUCHED if same else State.DAMAGED


def _bytecode_state(root: Path, pycs: Mapping[str, Stat]) -> State:
    if CACHE_TAG is None:
        return State.RIGHT
    record = BytecodeRecord.read(root)
    if record is None:
        # Bytecode that nobody answers for: a run was killed while it added it, or worse.
        return State.DAMAGED if pycs else State.MISSING
    expected = {pyc_path(source): s for source, s in record.stats.items() if s is not None}
    if expected == pycs:
        return State.RIGHT
    if expected.keys() != pycs.keys():
        return State.DAMAGED
    sound = all(
        is_sound((root / pyc_path(source)).read_bytes(), (root / source).read_bytes())
        for source, written in record.stats.items()
        if written is not None and pycs[pyc_path(source)] != written
    )
    return State.TOUCHED if sound else State.DAMAGED


def _scan(root: Path) -> tuple[dict[str, Stat], dict[str, Stat]]:
    """Every file below a build's folder, and the bytecode of this Python apart.

    Bytecode of another Python (`layer.cpython-312.pyc`) is left to that Python.
    """
    files: dict[str, Stat] = {}
    pycs: dict[str, Stat] = {}
    ours = f".{CACHE_TAG}.pyc"
    pending = [""]
    while pending:
        prefix = pending.pop()
        cached = prefix.endswith("__pycache__/")
        with os.scandir(root / prefix) as entries:
            for entry in entries:
                found = entry.stat(follow_symlinks=False)
                path = prefix + entry.name
                if stat.S_ISDIR(found.st_mode):
                    pending.append(path + "/")
                elif cached and entry.name.endswith(".pyc") and entry.name.count(".") > 1:
                    if entry.name.endswith(ours):
                        pycs[path] = _stat(found)
                elif prefix or not _is_ours(entry.name):
                    # What is no regular file never equals what was written down.
                    regular = stat.S_ISREG(found.st_mode)
                    files[path] = _stat(found) if regular else (-1, -1)
    return files, pycs


def snapshot(root: Path) -> dict[str, tuple[int, int, int]]:
    """What would change if somebody wrote into `keras/` below a folder: names, sizes, times, files.

    Bytecode of another Python is left out: that Python may add it at any time. A folder that is
    changed while it is read, or is gone, gives what could be seen of it.
    """
    seen: dict[str, tuple[int, int, int]] = {}
    pending = [f"{root}/keras"]
    while pending:
        folder = pending.pop()
        cached = folder.endswith("/__pycache__")
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                        seen[entry.path] = (0, 0, 0)
                    elif not cached or entry.name.endswith(f".{CACHE_TAG}.pyc"):
                        found = entry.stat(follow_symlinks=False)
                        seen[entry.path] = (*_stat(found), found.st_ino)
        except OSError:
            seen[folder] = (-1, 0, 0)
    return seen


def _is_ours(name: str) -> bool:
    # A name that starts with a dot is a temporary file of `write_atomic`: never imported.
    return name == MANIFEST or (name.startswith(("bytecode-", ".")) and not name.endswith(".py"))


def stat_of(path: Path) -> Stat:
    """The size and time of change of a file."""
    return _stat(path.stat())


def sha256_of(path: Path) -> str | None:
    """The sha256 of a file; None where it cannot be read or is no regular file."""
    try:
        return None if path.is_symlink() else hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def _stat(found: os.stat_result) -> Stat:
    return found.st_size, found.st_mtime_ns


def _seal(body: dict[str, Any]) -> bytes:
    rest = json.dumps({"schema": SCHEMA, **body}, separators=(",", ":")).encode()[1:]
    return b'{"checksum":"%s",\n' % hashlib.sha256(rest).hexdigest().encode() + rest


def _unseal(path: Path) -> dict[str, Any] | None:
    try:
        data = path.read_bytes()
    except OSError:
        return None
    head, _, rest = data.partition(b"\n")
    if head != b'{"checksum":"%s",' % hashlib.sha256(rest).hexdigest().encode():
        return None
    body: dict[str, Any] = json.loads(data)
    del body["checksum"]
    return body if body.pop("schema") == SCHEMA else None
