"""Where builds are made, before they are moved to their place: temporary folders and their locks.

    tmp/KEY.TOKEN/        what is being made; belongs to whoever holds locks/KEY.lock
    tmp/scratch-ID.TOKEN/ what lives as long as a store; so does its lock
    locks/KEY.lock

The system lets go of a lock when its process dies, however it dies. So a folder whose lock nobody
holds was left by a killed run, and whoever comes next removes it.

Public: `Workplace`.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from keras_bisect.errors import HarnessError

if TYPE_CHECKING:
    from filelock import BaseFileLock

__all__ = ["Workplace"]

LOCK_SECONDS = 300.0
SCRATCH = "scratch-"


class Workplace:
    """The temporary folders of one cache folder, for one store. Errors of the disk are `OSError`.

    `scratch` and `close` are for one thread at a time.
    """

    def __init__(self, cache: Path) -> None:
        """Nothing is read or written yet."""
        self._cache = cache
        self._scratch: Path | None = None
        self._held = contextlib.ExitStack()

    def folder(self, key: str) -> Path:
        """A new folder, for whoever holds the lock of a key."""
        folder = self.aside(key)
        folder.mkdir(parents=True)
        return folder

    def aside(self, key: str) -> Path:
        """A name for such a folder; nothing has it yet."""
        return self._cache / "tmp" / f"{key}.{secrets.token_hex(4)}"

    def clear(self, key: str) -> None:
        """Remove the folders of a key whose lock is held."""
        for entry in self._entries():
            if entry.name.rpartition(".")[0] != key:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove what killed runs left: folders whose lock nobody holds.

        What cannot be removed now (it is in use, or another user's) does no harm.
        """
        keys = {entry.name.rpartition(".")[0] for entry in self._entries()}
        with contextlib.suppress(OSError):
            # A lock of a scratch folder serves nobody once the folder is gone.
            keys |= {path.stem for path in (self._cache / "locks").glob(f"{SCRATCH}*.lock")}
        for key in sorted(keys - {""}):
            with contextlib.suppress(OSError), self.locked(key, seconds=0):
                self.clear(key)
                self._forget(key)

    @contextlib.contextmanager
    def locked(self, key: str, *, seconds: float = LOCK_SECONDS) -> Iterator[None]:
        """Hold the lock of a key.

        Raises:
            HarnessError: it is not to be had in some seconds.
            TimeoutError: the same, if it was not waited for.
        """
        with contextlib.ExitStack() as stack:
            lock = _lock(self._cache / "locks" / f"{key}.lock")
            try:
                stack.enter_context(lock.acquire(timeout=seconds))
            except TimeoutError:
                if seconds == 0:
                    raise
                raise HarnessError(
                    f"Another process has worked on {key} in {self._cache} for {seconds:.0f} s. "
                    "Wait for it, end it, or choose another folder with KERAS_REPRO_CACHE."
                ) from None
            yield

    def scratch(self) -> Path:
        """A folder that lasts until `close`: in the cache, where links work, if it is writable."""
        if self._scratch is None:
            key = f"{SCRATCH}{secrets.token_hex(4)}"
            try:
                self._held.enter_context(self.locked(key))
                self._scratch = self.folder(key)
            except OSError:
                self._scratch = Path(tempfile.mkdtemp(prefix="keras-repro-"))
            self._held.callback(self._forget, key)
            self._held.callback(shutil.rmtree, self._scratch, ignore_errors=True)
        return self._scratch

    def close(self) -> None:
        """Remove what `scratch` made. It can be asked for again."""
        self._scratch = None
        self._held.close()

    def _entries(self) -> list[Path]:
        try:
            return list((self._cache / "tmp").iterdir())
        except FileNotFoundError:
            return []

    def _forget(self, key: str) -> None:
        """Remove the lock of a scratch folder: its name is never used again."""
        if key.startswith(SCRATCH):
            with contextlib.suppress(OSError):
                (self._cache / "locks" / f"{key}.lock").unlink()


def _lock(path: Path) -> BaseFileLock:
    from filelock import FileLock

    path.parent.mkdir(parents=True, exist_ok=True)
    # A lock object is never shared, and a scratch folder's is let go by whichever thread closes.
    return FileLock(path, thread_local=False)
