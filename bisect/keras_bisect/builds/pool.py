"""Files by content: each distinct source, and its bytecode, is on disk once.

    blobs/AA/SHA256              a source file, read-only
    bytecode/TAG/AA/SHA256.pyc   what this Python made of it

Builds hold hard links to these, or copies where the file system has no links. A hard link shares
its bytes: whoever writes through one changes the pool and every build that holds it. So nothing is
taken from the pool by name: a source is compared with the bytes at hand, bytecode proves itself,
and what is wrong is replaced by a new file (the old one stays with the builds that hold it; they
notice when they are next asked for). A file that proved right is remembered by number, size and
time of change, as a manifest remembers it, so the next build of a search costs a link a file.

Public: `Pool`, `link_or_copy`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from keras_bisect.builds.bytecode import CACHE_TAG, MAGIC, compile_source, is_sound, pyc_path
from keras_bisect.builds.manifest import BytecodeRecord, Stat

__all__ = ["Pool", "link_or_copy"]

READ_ONLY = 0o444

Proof = tuple[int, int, int, int]
"""Device, number, size and time of change of a file whose bytes were seen to be right."""


class Pool:
    """The shared files of one cache folder. Errors of the disk are `OSError`."""

    def __init__(self, cache: Path) -> None:
        """Nothing is read or written yet."""
        self._sources = f"{cache}/blobs"
        self._bytecode = f"{cache}/bytecode/{CACHE_TAG}-{MAGIC.hex()}"
        self._proofs: dict[str, Proof] = {}
        # Builds that are made at once have most files in common: each is compiled by one thread.
        self._compiling = threading.Lock()

    def source(self, sha256: str) -> bytes | None:
        """A source by its sha256; None where the pool has none, or a damaged one."""
        data = _read(self._blob(sha256))
        return data if data is not None and hashlib.sha256(data).hexdigest() == sha256 else None

    def place(
        self, files: Mapping[str, bytes], root: Path
    ) -> tuple[dict[str, str], dict[str, Stat]]:
        """Put a tree of sources under `root`, an empty folder.

        Returns:
            Posix path -> sha256, and posix path -> what `stat_of` says of the file.
        """
        _make_folders(root, (path.rpartition("/")[0] for path in files))
        shas, stats = {}, {}
        for path, data in files.items():
            shas[path] = sha256 = hashlib.sha256(data).hexdigest()
            stats[path] = self._keep(self._blob(sha256), data, f"{root}/{path}")
        return shas, stats

    def link(self, folders: Mapping[str, Path], root: Path) -> list[str]:
        """Put files that builds of this cache hold, and their bytecode, under an empty folder.

        Args:
            folders: posix path -> the folder of the build to take it from.
            root: the empty folder.

        Returns:
            The sources that have no bytecode there.
        """
        _make_folders(root, (f"{path.rpartition('/')[0]}/__pycache__" for path in folders))
        bare = []
        for path, folder in folders.items():
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
        if CACHE_TAG is None:
            return BytecodeRecord()
        sources = [path for path in files if path.endswith(".py")]
        _make_folders(root, (f"{path.rpartition('/')[0]}/__pycache__" for path in sources))
        return BytecodeRecord(
            stats={path: self._add_bytecode(files[path], path, root) for path in sources}
        )

    def _add_bytecode(self, sha256: str, path: str, root: Path) -> Stat | None:
        kept = f"{self._bytecode}/{sha256[:2]}/{sha256}.pyc"
        target = f"{root}/{pyc_path(path)}"

        def source() -> bytes:
            return Path(root, path).read_bytes()

        def sound(pyc: bytes) -> bool:
            return is_sound(pyc, source())

        if (found := self._take(kept, sound, target)) is not None:
            return found
        with self._compiling:
            if (found := self._take(kept, sound, target)) is not None:
                return found
            data = source()
            # Where it could not be linked it may be there all the same.
            pyc = _read(kept)
            if pyc is None or not is_sound(pyc, data):
                pyc = compile_source(data, path)
            return None if pyc is None else self._keep(kept, pyc, target)

    def _blob(self, sha256: str) -> str:
        return f"{self._sources}/{sha256[:2]}/{sha256}"

    def _keep(self, kept: str, data: bytes, target: str) -> Stat:
        """Make `target` one file with the pool's `kept`, which is made, or made right, first."""
        if (found := self._take(kept, data.__eq__, target)) is not None:
            return found
        new = Path(target)
        new.write_bytes(data)
        new.chmod(READ_ONLY)
        # The target is complete. Where the pool cannot be written (a read-only cache, while an
        # overlay is made elsewhere), only the sharing is lost.
        with contextlib.suppress(OSError):
            self._share(kept, data, target)
        made = os.lstat(target)
        self._proofs[kept] = _proof(made)
        return made.st_size, made.st_mtime_ns

    def _take(self, kept: str, right: Callable[[bytes], bool], target: str) -> Stat | None:
        """Make `target` the same file as the pool's `kept` if that is right; else it is absent."""
        if not _link(kept, target):
            return None
        # What is checked is what was taken, whatever becomes of the name in the pool.
        found = os.lstat(target)
        proof = _proof(found)
        if self._proofs.get(kept) != proof:
            data = _read(target)
            if data is None or not right(data):
                Path(target).unlink()
                return None
            self._proofs[kept] = proof
        return found.st_size, found.st_mtime_ns

    def _share(self, kept: str, data: bytes, target: str) -> None:
        """Make the pool's `kept` the same file as `target`, or a copy of it, where it is wrong."""
        Path(kept).parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(target, kept)
        except FileExistsError:
            # Another build was unpacked meanwhile, or what is there is damaged.
            if _read(kept) == data:
                _replace(Path(target), kept)
            else:
                _replace(Path(kept), target)
        except OSError:
            if _read(kept) != data:
                _replace(Path(kept), target)


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


def _link(origin: str, target: str) -> bool:
    """Make `target` the same file as `origin`; where that fails, there is no target."""
    while True:
        try:
            os.link(origin, target)
        except OSError:
            try:
                Path(target).unlink()
            except FileNotFoundError:
                return False
        else:
            return True


def _replace(path: Path, origin: str) -> None:
    """Make `path` the same file as `origin`, or a copy of it, whatever is there now."""
    # A name of its own and one rename: another process never sees a part of it, and a damaged file
    # gives way to a new one instead of being written through.
    staged = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        link_or_copy(origin, staged)
        staged.replace(path)
    finally:
        # Renaming a link onto a link of the same file does nothing, and leaves the first.
        staged.unlink(missing_ok=True)


def _read(path: str) -> bytes | None:
    try:
        return Path(path).read_bytes()
    except OSError:
        return None


def _proof(found: os.stat_result) -> Proof:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _make_folders(root: Path, folders: Iterable[str]) -> None:
    for folder in dict.fromkeys(folders):
        (root / folder).mkdir(parents=True, exist_ok=True)
