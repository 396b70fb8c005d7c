"""Files by content: each distinct source, and its bytecode, is on disk once.

    blobs/AA/SHA256              a source file, read-only
    bytecode/TAG/AA/SHA256.pyc   what this Python made of it

Builds hold hard links to these, or copies where the file system has no links. A hard link shares
its bytes: whoever writes through one changes the pool and every build that holds it. So nothing is
taken from the pool by name: a source is compared with the bytes at hand, bytecode proves itself,
and what is wrong is replaced by a new file (the old one stays with the builds that hold it; they
notice when they are next asked for).

Public: `Pool`, `link_or_copy`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from keras_bisect.bytecode import CACHE_TAG, MAGIC, compile_source, is_sound, pyc_path
from keras_bisect.manifest import BytecodeRecord, Stat, stat_of

__all__ = ["Pool", "link_or_copy"]

READ_ONLY = 0o444


class Pool:
    """The shared files of one cache folder. Errors of the disk are `OSError`."""

    def __init__(self, cache: Path) -> None:
        """Nothing is read or written yet."""
        self._sources = cache / "blobs"
        self._bytecode = cache / "bytecode" / f"{CACHE_TAG}-{MAGIC.hex()}"

    def source(self, sha256: str) -> bytes | None:
        """A source by its sha256; None where the pool has none, or a damaged one."""
        try:
            data = self._blob(sha256).read_bytes()
        except OSError:
            return None
        return data if hashlib.sha256(data).hexdigest() == sha256 else None

    def place(self, files: Mapping[str, bytes], root: Path) -> dict[str, str]:
        """Put a tree of sources under `root`, an empty folder; posix path -> sha256."""
        made: set[Path] = set()
        shas = {}
        for path, data in files.items():
            sha256 = hashlib.sha256(data).hexdigest()
            target = root / path
            if target.parent not in made:
                target.parent.mkdir(parents=True, exist_ok=True)
                made.add(target.parent)
            self._keep(self._blob(sha256), data, target)
            shas[path] = sha256
        return shas

    def link(self, folders: Mapping[str, Path], root: Path) -> list[str]:
        """Put files that builds of this cache hold, and their bytecode, under an empty folder.

        Args:
            folders: posix path -> the folder of the build to take it from.
            root: the empty folder.

        Returns:
            The sources that have no bytecode there.
        """
        made: set[str] = set()
        bare = []
        for path, folder in folders.items():
            parent = path.rpartition("/")[0]
            if parent not in made:
                (root / parent / "__pycache__").mkdir(parents=True, exist_ok=True)
                made.add(parent)
            link_or_copy(f"{folder}/{path}", f"{root}/{path}")
            if CACHE_TAG is None or not path.endswith(".py"):
                continue
            pyc = pyc_path(path)
            try:
                link_or_copy(f"{folder}/{pyc}", f"{root}/{pyc}")
            except FileNotFoundError:
                bare.append(path)
        return bare

    def add_bytecode(self, files: Mapping[str, str], root: Path) -> BytecodeRecord:
        """Put this Python's bytecode beside the sources under `root`.

        Args:
            files: posix path -> sha256, of sources that are known to be right.
            root: the folder that holds them.
        """
        stats: dict[str, Stat | None] = {}
        for path, sha256 in files.items():
            if CACHE_TAG is None or not path.endswith(".py"):
                continue
            source = (root / path).read_bytes()
            kept = self._bytecode / sha256[:2] / f"{sha256}.pyc"
            try:
                pyc: bytes | None = kept.read_bytes()
            except OSError:
                pyc = None
            if pyc is None or not is_sound(pyc, source):
                pyc = compile_source(source, path)
            target = root / pyc_path(path)
            if pyc is None:
                target.unlink(missing_ok=True)
                stats[path] = None
                continue
            target.parent.mkdir(exist_ok=True)
            self._keep(kept, pyc, target)
            stats[path] = stat_of(target)
        return BytecodeRecord(stats=stats)

    def _blob(self, sha256: str) -> Path:
        return self._sources / sha256[:2] / sha256

    def _keep(self, kept: Path, data: bytes, target: Path) -> None:
        """Make `target` one file with the pool's `kept`, which is made, or made right, first."""
        try:
            right = kept.read_bytes() == data
        except OSError:
            right = False
        target.unlink(missing_ok=True)
        if right:
            link_or_copy(kept, target)
            return
        target.write_bytes(data)
        target.chmod(READ_ONLY)
        # The target is complete. Where the pool cannot be written (a read-only cache, while an
        # overlay is made elsewhere), only the sharing is lost.
        with contextlib.suppress(OSError):
            kept.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(target, kept)
            except FileExistsError:
                # Another build was unpacked meanwhile, or what is there is damaged.
                if kept.read_bytes() == data:
                    self._replace(target, kept)
                else:
                    self._replace(kept, target)
            except OSError:
                self._replace(kept, target)

    def _replace(self, path: Path, origin: Path) -> None:
        """Make `path` the same file as `origin`, or a copy of it, whatever is there now."""
        # A name of its own and one rename: another process never sees a part of it, and a damaged
        # file gives way to a new one instead of being written through.
        staged = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            link_or_copy(origin, staged)
            staged.replace(path)
        finally:
            # Renaming a link onto a link of the same file does nothing, and leaves the first.
            staged.unlink(missing_ok=True)


def link_or_copy(origin: Path | str, target: Path | str) -> None:
    """Make `target` the same file as `origin`, or a copy of it.

    Links fail between file systems, on some of them, and beyond some 65,000 links of one file (the
    empty `__init__.py`), so any failure is answered by a copy; if the disk is the reason, that
    fails too.
    """
    try:
        os.link(origin, target)
    except OSError:
        shutil.copyfile(origin, target)
        Path(target).chmod(READ_ONLY)
